package streaming_test

import (
	"encoding/binary"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/streaming"
)

// Flags, as the specification numbers them.
const (
	syn     = 1 << 0
	closing = 1 << 1
	reset   = 1 << 2
	sig     = 1 << 3
	from    = 1 << 5
	delay   = 1 << 6
	maxSize = 1 << 7
	echo    = 1 << 9
	noAck   = 1 << 10
	offline = 1 << 11
)

// wirePacket is a packet as the test writes and reads it, field by field.
type wirePacket struct {
	sendID, receiveID, sequence, ackThrough uint32
	nacks                                   []uint32
	flags                                   uint16
	delay                                   uint16
	from                                    []byte
	maxSize                                 uint16
	offline                                 []byte
	key                                     signature.PrivateKey // signs if sig is set
	payload                                 []byte
}

func (p wirePacket) bytes() []byte {
	b := binary.BigEndian.AppendUint32(nil, p.sendID)
	b = binary.BigEndian.AppendUint32(b, p.receiveID)
	b = binary.BigEndian.AppendUint32(b, p.sequence)
	b = binary.BigEndian.AppendUint32(b, p.ackThrough)
	b = append(b, byte(len(p.nacks)))
	for _, n := range p.nacks {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	b = append(b, 0)
	b = binary.BigEndian.AppendUint16(b, p.flags)
	var o []byte
	if p.flags&delay != 0 {
		o = binary.BigEndian.AppendUint16(o, p.delay)
	}
	if p.flags&from != 0 {
		o = append(o, p.from...)
	}
	if p.flags&maxSize != 0 {
		o = binary.BigEndian.AppendUint16(o, p.maxSize)
	}
	if p.flags&offline != 0 {
		o = append(o, p.offline...)
	}
	n := 0
	if p.flags&sig != 0 {
		n = p.key.Type().SignatureLen()
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(o)+n))
	b = append(b, o...)
	at := len(b)
	b = append(b, make([]byte, n)...)
	b = append(b, p.payload...)
	if n > 0 {
		copy(b[at:], p.key.Sign(b))
	}
	return b
}

// look reads what a test wants to know of a packet.
func look(b []byte) (p wirePacket) {
	p.sendID = binary.BigEndian.Uint32(b)
	p.receiveID = binary.BigEndian.Uint32(b[4:])
	p.sequence = binary.BigEndian.Uint32(b[8:])
	p.ackThrough = binary.BigEndian.Uint32(b[12:])
	n := int(b[16])
	for i := range n {
		p.nacks = append(p.nacks, binary.BigEndian.Uint32(b[17+4*i:]))
	}
	b = b[17+4*n+1:]
	p.flags = binary.BigEndian.Uint16(b)
	size := binary.BigEndian.Uint16(b[2:])
	if p.flags&delay != 0 {
		p.delay = binary.BigEndian.Uint16(b[4:])
	}
	p.payload = b[4+size:]
	return p
}

// hashWords is a hash in the place of the NACKs.
func hashWords(h data.Hash) (words []uint32) {
	for i := 0; i < len(h); i += 4 {
		words = append(words, binary.BigEndian.Uint32(h[i:]))
	}
	return words
}

// forger is a peer whose packets the test makes.
type forger struct {
	t     testing.TB
	w     *sim.World
	local streaming.Local
	hash  data.Hash
	e     *end // it talks to
	got   []wirePacket
	bound bool
	err   error // of the last Receive
}

// newForger makes an end and a peer of it that says only what it is told to.
func newForger(t testing.TB, cfg streaming.Config) *forger {
	t.Helper()
	f := &forger{t: t, w: sim.New(t, 3, sim.Config{}), local: newLocal(t)}
	f.hash = f.local.Destination.Hash()
	e := &end{h: f.w.Host("192.0.2.1"), local: newLocal(t)}
	e.hash = e.local.Destination.Hash()
	e.Streams = streaming.New(cfg, e.h, e.local, func(_ *host.Round, to data.Hash, _, _ uint16, b []byte) error {
		if to != f.hash {
			t.Errorf("a packet to %v", to)
		}
		f.got = append(f.got, look(append([]byte(nil), b...)))
		return nil
	})
	f.e = e
	return f
}

// send has the end receive a packet to its port 80.
func (f *forger) send(p wirePacket) error {
	var sender streaming.Sender
	if f.bound {
		sender = streaming.Sender{Bound: true, Hash: f.hash}
	}
	f.e.h.Do(func(r *host.Round) { f.err = f.e.Receive(r, sender, 0, 80, p.bytes()) })
	return f.err
}

// syn is a SYN in order.
func (f *forger) syn(id uint32) wirePacket {
	return wirePacket{
		receiveID: id,
		nacks:     hashWords(f.e.hash),
		flags:     syn | sig | from | maxSize | noAck,
		from:      f.local.Destination.Bytes(),
		maxSize:   1812,
		key:       f.local.Key,
	}
}

// last is the latest packet the end has sent.
func (f *forger) last() wirePacket {
	f.t.Helper()
	if len(f.got) == 0 {
		f.t.Fatal("no packet was sent")
	}
	return f.got[len(f.got)-1]
}

// open opens stream id and acknowledges the answer. It returns what later
// packets of the stream have in common.
func (f *forger) open(id uint32) wirePacket {
	f.t.Helper()
	if err := f.send(f.syn(id)); err != nil {
		f.t.Fatal(err)
	}
	if len(f.got) == 0 {
		f.t.Fatal("the SYN was not answered")
	}
	answer := f.got[0]
	if answer.flags&syn == 0 || answer.sendID != id || answer.receiveID == 0 || answer.ackThrough != 0 || answer.flags&noAck != 0 {
		f.t.Fatalf("the answer to the SYN has flags %x, ids %d and %d, and acknowledges %d",
			answer.flags, answer.sendID, answer.receiveID, answer.ackThrough)
	}
	p := wirePacket{sendID: answer.receiveID, receiveID: id, key: f.local.Key}
	f.w.Run(100 * time.Millisecond)
	if err := f.send(p); err != nil {
		f.t.Fatal(err)
	}
	return p
}
