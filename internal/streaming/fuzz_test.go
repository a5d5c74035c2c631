package streaming_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"allium/internal/host"
	"allium/internal/sim"
	"allium/internal/streaming"
)

// FuzzReceive gives an end packets of any kind, some of them for a stream
// that stands. Each is preceded by its length and by what to do with it.
func FuzzReceive(f *testing.F) {
	one := func(how byte, p wirePacket) []byte {
		b := p.bytes()
		return append([]byte{how, byte(len(b) >> 8), byte(len(b))}, b...)
	}
	f.Add(one(1, wirePacket{sequence: 1, payload: []byte("data")}))
	f.Add(append(one(1, wirePacket{sequence: 2, payload: []byte("b")}), one(1, wirePacket{sequence: 1, payload: []byte("a")})...))
	f.Add(one(3, wirePacket{sequence: 1, flags: closing}))
	f.Add(one(3, wirePacket{flags: reset}))
	f.Add(one(1, wirePacket{ackThrough: 3, nacks: []uint32{1, 2}, flags: delay, delay: 61000}))
	f.Add(one(2, wirePacket{sendID: 5, flags: echo | from}))
	f.Add(one(0, wirePacket{receiveID: 9, sequence: 1, payload: []byte("stray")}))
	f.Add(one(2, wirePacket{receiveID: 11, flags: syn | from | offline | maxSize}))
	f.Fuzz(func(t *testing.T, b []byte) {
		u := &user{out: []byte("some data of ours")}
		fo := newForger(t, config())
		fo.e.serve(t, func() *user {
			if u.s == nil {
				return u
			}
			return &user{}
		})
		open := fo.open(9)
		for len(b) >= 3 {
			how := b[0]
			n := min(int(binary.BigEndian.Uint16(b[1:])), len(b)-3)
			p := bytes.Clone(b[3 : 3+n])
			b = b[3+n:]
			if how&1 != 0 && len(p) >= 8 { // it is for the stream
				binary.BigEndian.PutUint32(p, open.sendID)
				binary.BigEndian.PutUint32(p[4:], open.receiveID)
			}
			sender := streaming.Sender{Bound: how&2 != 0, Hash: fo.hash}
			fo.e.h.Do(func(r *host.Round) {
				if err := fo.e.Receive(r, sender, 0, 80, p); err != nil &&
					!errors.Is(err, streaming.ErrPacket) && !errors.Is(err, streaming.ErrSignature) {
					t.Errorf("the error is %v", err)
				}
			})
			fo.w.Run(time.Duration(how) * time.Millisecond)
		}
		fo.w.Run(30 * time.Minute)
		if fo.e.Len() != 0 {
			t.Errorf("%d streams outlive their silent peer", fo.e.Len())
		}
	})
}

// FuzzPath lets the input decide what becomes of each packet; once it is used
// up, all of them arrive. Whatever it does, the bytes come in order, and all
// of them unless an end has given up.
func FuzzPath(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\x00\xff\x00\xff\xff\x80"))
	f.Add(bytes.Repeat([]byte{0}, 30))
	f.Add(bytes.Repeat([]byte{10, 200, 100, 250, 50}, 100))
	f.Fuzz(func(t *testing.T, fate []byte) {
		next := func() float64 {
			if len(fate) == 0 {
				return 0.99
			}
			x := fate[0]
			fate = fate[1:]
			return float64(x) / 256
		}
		w := sim.New(t, 1, sim.Config{})
		p := &path{delay: 20 * time.Millisecond, jitter: 300 * time.Millisecond, loss: 0.3, dup: 0.4}
		a := newEnd(w.Host("192.0.2.1"), config(), newLocal(t), next, p)
		b := newEnd(w.Host("192.0.2.2"), config(), newLocal(t), next, p)
		connect(a, b)
		want := pattern(60000)
		client, server := &user{out: want, finish: true}, &user{out: want[:30000], finish: true}
		b.serveOne(t, server)
		client.open(t, a, b)
		w.Run(20 * time.Minute)
		if !bytes.HasPrefix(want, server.got) || !bytes.HasPrefix(want, client.got) {
			t.Errorf("%d and %d bytes came, not those that were sent", len(server.got), len(client.got))
		}
		if errors.Is(client.err, streaming.ErrTimeout) || errors.Is(server.err, streaming.ErrTimeout) {
			return // too much was lost
		}
		if client.err != io.EOF || server.err != io.EOF || len(server.got) != len(want) || len(client.got) != 30000 {
			t.Errorf("%d and %d bytes came, then %v and %v", len(server.got), len(client.got), server.err, client.err)
		}
		if a.Len()+b.Len() != 0 {
			t.Error("streams are left")
		}
	})
}
