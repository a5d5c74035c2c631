package streaming_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"allium/internal/host"
	"allium/internal/streaming"
)

func TestRequestAndAnswerNeedOnePacketEach(t *testing.T) {
	var seen []wirePacket
	p := &path{delay: 100 * time.Millisecond, tap: func(_ *end, b []byte) bool {
		seen = append(seen, look(b))
		return true
	}}
	w, a, b := newPair(t, 1, config(), p)
	client := &user{out: []byte("GET /"), finish: true}
	b.serveOne(t, &user{out: []byte("200 OK"), finish: true})
	client.open(t, a, b)
	w.Run(time.Second)
	if string(client.got) != "200 OK" || client.err != io.EOF {
		t.Fatalf("got %q and %v", client.got, client.err)
	}
	if seen[0].flags&(syn|closing|sig|from|noAck) != syn|closing|sig|from|noAck || string(seen[0].payload) != "GET /" || len(seen[0].nacks) != 8 {
		t.Errorf("the first packet is %+v", seen[0])
	}
	if seen[1].flags&(syn|closing|sig|from) != syn|closing|sig|from || string(seen[1].payload) != "200 OK" || len(seen[1].nacks) != 0 {
		t.Errorf("the answer is %+v", seen[1])
	}
	if len(seen) != 3 {
		t.Errorf("%d packets for all of it", len(seen))
	}
	w.Run(time.Minute)
	if a.Len()+b.Len() != 0 {
		t.Error("streams are left")
	}
}

func TestHalfClosedStreamGoesOn(t *testing.T) {
	w, a, b := newPair(t, 1, config(), &path{delay: 100 * time.Millisecond})
	client, server := &user{finish: true}, &user{}
	b.serveOne(t, server)
	client.open(t, a, b)
	w.Run(time.Second)
	if server.err != io.EOF || client.err != nil {
		t.Fatalf("the server has %v, the client %v", server.err, client.err)
	}
	server.out, server.finish = pattern(1<<20), true
	want := server.out
	b.h.Do(server.notify)
	w.Run(time.Minute)
	if !bytes.Equal(client.got, want) || client.err != io.EOF {
		t.Errorf("%d bytes and %v came", len(client.got), client.err)
	}
}

func TestResetEndsBothSides(t *testing.T) {
	w, a, b := newPair(t, 1, config(), &path{delay: 100 * time.Millisecond, unbound: true})
	client, server := &user{out: pattern(5000)}, &user{}
	b.serveOne(t, server)
	client.open(t, a, b)
	w.Run(time.Second)
	a.h.Do(client.s.Reset)
	w.Run(time.Second)
	if !errors.Is(server.err, streaming.ErrReset) || !errors.Is(client.err, streaming.ErrClosed) {
		t.Errorf("the server has %v, the client %v", server.err, client.err)
	}
	if a.Len()+b.Len() != 0 {
		t.Error("streams are left")
	}
	a.h.Do(func(r *host.Round) {
		if _, err := client.s.Write(r, []byte("x")); !errors.Is(err, streaming.ErrClosed) {
			t.Errorf("writing to it: %v", err)
		}
	})
}

func TestPortNobodyListensAtIsRefused(t *testing.T) {
	w, a, b := newPair(t, 1, config(), &path{delay: 100 * time.Millisecond})
	client := &user{}
	client.open(t, a, b)
	w.Run(time.Second)
	if !errors.Is(client.err, streaming.ErrReset) || a.Len() != 0 {
		t.Errorf("it ended with %v", client.err)
	}
}

// TestCloseStopsAPeerThatKeepsSending: who closes while the peer sends does
// not take in the rest of it.
func TestCloseStopsAPeerThatKeepsSending(t *testing.T) {
	w, a, b := newPair(t, 1, config(), &path{delay: 100 * time.Millisecond})
	client, server := &user{out: []byte("last words")}, &user{out: pattern(20 << 20)}
	b.serveOne(t, server)
	client.open(t, a, b)
	w.Run(2 * time.Second)
	a.h.Do(client.s.Close)
	w.Run(2 * time.Second)
	if string(server.got) != "last words" || !errors.Is(server.err, io.EOF) {
		t.Errorf("the server got %q and %v", server.got, server.err)
	}
	if b.sent > 5000 || b.Len() != 0 || a.Len() != 0 {
		t.Errorf("%d packets were sent", b.sent)
	}
}

func TestSlowReaderChokesThePeer(t *testing.T) {
	lose := 0 // packets that lift the choke
	choked, lifted := false, 0
	var b *end
	p := &path{delay: 100 * time.Millisecond}
	p.tap = func(from *end, raw []byte) bool {
		q := look(raw)
		if from != b {
			return true
		}
		choked = choked || q.flags&delay != 0 && q.delay == 61000
		if choked && q.flags&delay != 0 && q.delay == 0 {
			lifted++
			if lifted <= lose {
				return false
			}
		}
		return true
	}
	for _, lose = range []int{0, 3} {
		choked, lifted = false, 0
		var w = newWorldPair(t, p, &b)
		client, server := &user{out: pattern(4 << 20), finish: true}, &user{paused: true}
		want := client.out
		b.serveOne(t, server)
		client.open(t, w.a, b)
		w.Run(20 * time.Minute)
		if !choked || client.err != nil {
			t.Fatalf("choked %v, the client has %v", choked, client.err)
		}
		if sent := len(want) - len(client.out); sent > 2<<20 {
			t.Errorf("%d bytes were taken before anybody read", sent)
		}
		packets := w.a.sent
		w.Run(10 * time.Minute)
		if n := w.a.sent - packets; n > 400 {
			t.Errorf("%d packets in ten minutes of choke", n)
		}
		server.paused = false
		b.h.Do(server.notify)
		w.Run(time.Minute)
		if !bytes.Equal(server.got, want) || lifted == 0 {
			t.Errorf("%d of %d bytes came, lifted %d times", len(server.got), len(want), lifted)
		}
	}
}

func TestIdleStreamLivesAndADeadOneEnds(t *testing.T) {
	dead := false
	p := &path{delay: 100 * time.Millisecond, tap: func(*end, []byte) bool { return !dead }}
	w, a, b := newPair(t, 1, config(), p)
	client, server := &user{}, &user{}
	b.serveOne(t, server)
	client.open(t, a, b)
	w.Run(30 * time.Minute)
	if client.err != nil || server.err != nil || a.Len() != 1 || b.Len() != 1 {
		t.Fatalf("the stream has ended: %v, %v", client.err, server.err)
	}
	if n := a.sent + b.sent; n < 20 || n > 100 {
		t.Errorf("%d packets in half an hour of silence", n)
	}
	dead = true
	w.Run(15 * time.Minute)
	if !errors.Is(client.err, streaming.ErrTimeout) || !errors.Is(server.err, streaming.ErrTimeout) {
		t.Errorf("the ends are %v and %v", client.err, server.err)
	}
	if a.Len()+b.Len() != 0 {
		t.Error("streams are left")
	}
}

func TestHalfClosedPeerThatVanishesIsNoticed(t *testing.T) {
	dead := false
	p := &path{delay: 100 * time.Millisecond, tap: func(*end, []byte) bool { return !dead }}
	w, a, b := newPair(t, 1, config(), p)
	client := &user{out: []byte("question"), finish: true}
	b.serveOne(t, &user{})
	client.open(t, a, b)
	w.Run(10 * time.Minute)
	if client.err != nil {
		t.Fatalf("the client has %v", client.err)
	}
	dead = true
	w.Run(15 * time.Minute)
	if !errors.Is(client.err, streaming.ErrTimeout) || a.Len() != 0 {
		t.Errorf("the client has %v", client.err)
	}
}

func TestOpenGivesUp(t *testing.T) {
	p := &path{tap: func(*end, []byte) bool { return false }}
	w, a, b := newPair(t, 1, config(), p)
	client := &user{}
	client.open(t, a, b)
	w.Run(59 * time.Second)
	if client.err != nil {
		t.Fatalf("early: %v", client.err)
	}
	w.Run(2 * time.Second)
	if !errors.Is(client.err, streaming.ErrTimeout) || a.Len() != 0 {
		t.Errorf("it ended with %v", client.err)
	}
	if a.sent != 6 { // at once, and after 5, 10, 20, 30 and 50 seconds
		t.Errorf("%d SYNs were sent", a.sent)
	}
}

func TestRepeatedSYNIsAnsweredAgain(t *testing.T) {
	drop := 1
	var b *end
	p := &path{delay: 100 * time.Millisecond}
	p.tap = func(from *end, raw []byte) bool {
		if from == b && look(raw).flags&syn != 0 && drop > 0 {
			drop--
			return false
		}
		return true
	}
	w := newWorldPair(t, p, &b)
	client, streams := &user{}, 0
	b.serve(t, func() *user { streams++; return &user{out: []byte("hello")} })
	client.open(t, w.a, b)
	w.Run(20 * time.Second)
	if streams != 1 || string(client.got) != "hello" {
		t.Errorf("%d streams, got %q", streams, client.got)
	}
}

func TestListenerOfAnyPortAndRefusal(t *testing.T) {
	w, a, b := newPair(t, 1, config(), &path{delay: 10 * time.Millisecond})
	b.serve(t, func() *user { return nil })
	any := &user{out: []byte("any")}
	stop, err := b.Accept(0, func(_ *host.Round, s *streaming.Stream) func(*host.Round) {
		any.s = s
		return any.notify
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Accept(80, nil); !errors.Is(err, streaming.ErrInUse) {
		t.Errorf("a port was taken twice: %v", err)
	}
	dial := func(port uint16) *user {
		u := &user{}
		a.h.Do(func(r *host.Round) { u.s, err = a.Open(r, b.hash, port, u.notify) })
		w.Run(time.Second)
		return u
	}
	if u := dial(80); !errors.Is(u.err, streaming.ErrReset) {
		t.Errorf("refused with %v", u.err)
	}
	if u := dial(7777); string(u.got) != "any" || any.s.LocalPort() != 7777 {
		t.Errorf("got %q", u.got)
	}
	stop()
	if u := dial(7777); !errors.Is(u.err, streaming.ErrReset) {
		t.Errorf("after the end: %v", u.err)
	}
}

func TestPingIsAnswered(t *testing.T) {
	p := &path{delay: 100 * time.Millisecond, unbound: true}
	w, a, b := newPair(t, 1, config(), p)
	pong := 0
	ping := func() {
		a.h.Do(func(r *host.Round) {
			if _, err := a.Ping(r, b.hash, 0, func(*host.Round) { pong++ }); err != nil {
				t.Fatal(err)
			}
		})
		w.Run(time.Second)
	}
	ping()
	if pong != 1 {
		t.Errorf("%d answers", pong)
	}
	p.tap = func(_ *end, raw []byte) bool {
		raw[len(raw)-1] ^= 1 // of the signature
		return true
	}
	ping()
	if pong != 1 || len(b.errs) != 1 || !errors.Is(b.errs[0], streaming.ErrSignature) {
		t.Errorf("%d answers, errors %v", pong, b.errs)
	}
}

func TestCloseResetsEverything(t *testing.T) {
	w, a, b := newPair(t, 1, config(), &path{delay: 100 * time.Millisecond})
	client, server := &user{}, &user{}
	b.serveOne(t, server)
	client.open(t, a, b)
	w.Run(time.Second)
	a.h.Do(func(r *host.Round) {
		a.Close(r)
		if a.Len() != 0 {
			t.Error("streams are left")
		}
		if _, err := a.Open(r, b.hash, 80, nil); !errors.Is(err, streaming.ErrClosed) {
			t.Errorf("opening another: %v", err)
		}
	})
	w.Run(time.Second)
	if !errors.Is(client.err, streaming.ErrClosed) || !errors.Is(server.err, streaming.ErrReset) {
		t.Errorf("the ends are %v and %v", client.err, server.err)
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	run := func() uint64 {
		var hash uint64
		t.Run("run", func(t *testing.T) {
			p := &path{delay: 50 * time.Millisecond, jitter: 50 * time.Millisecond, loss: 0.05}
			w, a, b := newPair(t, 11, config(), p)
			client := &user{out: pattern(1 << 20), finish: true}
			b.serveOne(t, &user{finish: true})
			client.open(t, a, b)
			w.Run(10 * time.Minute)
			hash = w.Hash()
		})
		return hash
	}
	if first, second := run(), run(); first != second {
		t.Error("the runs differ")
	}
}
