package streaming_test

import (
	"errors"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/streaming"
)

// accepting makes a forger whose peer serves everything.
func accepting(t *testing.T, u *user) *forger {
	t.Helper()
	f := newForger(t, config())
	f.e.serveOne(t, u)
	return f
}

func TestSYNMustProveItsSender(t *testing.T) {
	other, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(f *forger, p *wirePacket)
		want   error
	}{
		{"in order", func(*forger, *wirePacket) {}, nil},
		{"in order, bound", func(f *forger, _ *wirePacket) { f.bound = true }, nil},
		{"of an old router", func(_ *forger, p *wirePacket) { p.nacks = nil }, nil},
		{"unsigned", func(_ *forger, p *wirePacket) { p.flags &^= sig }, streaming.ErrSignature},
		{"unsigned, bound", func(f *forger, p *wirePacket) { p.flags &^= sig; p.nacks = nil; f.bound = true }, nil},
		{"signed by another", func(_ *forger, p *wirePacket) { p.key = other }, streaming.ErrSignature},
		{"signed by another, bound", func(f *forger, p *wirePacket) { p.key = other; f.bound = true }, streaming.ErrSignature},
		{"for another", func(f *forger, p *wirePacket) { p.nacks = hashWords(f.hash) }, streaming.ErrSignature},
		{"for another, bound", func(f *forger, p *wirePacket) { p.nacks = hashWords(f.hash); f.bound = true }, streaming.ErrSignature},
		{"of another session", func(f *forger, _ *wirePacket) { f.bound = true; f.hash[0] ^= 1 }, streaming.ErrSignature},
		{"without its sender", func(_ *forger, p *wirePacket) { p.flags &^= from }, streaming.ErrPacket},
		{"numbered", func(_ *forger, p *wirePacket) { p.sequence = 1 }, streaming.ErrPacket},
		{"too long", func(_ *forger, p *wirePacket) { p.payload = make([]byte, 4097) }, streaming.ErrPacket},
		{"long", func(_ *forger, p *wirePacket) { p.payload = make([]byte, 4096) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := accepting(t, &user{})
			p := f.syn(9)
			test.change(f, &p)
			if err := f.send(p); !errors.Is(err, test.want) || (err == nil) != (f.e.Len() == 1) {
				t.Errorf("error %v, %d streams", err, f.e.Len())
			}
		})
	}
}

func TestEveryByteOfASYNIsSigned(t *testing.T) {
	f := accepting(t, &user{})
	p := f.syn(9)
	p.payload = []byte("data")
	raw := p.bytes()
	for i := range raw {
		b := append([]byte(nil), raw...)
		b[i] ^= 4
		f.e.h.Do(func(r *host.Round) { f.err = f.e.Receive(r, streaming.Sender{}, 0, 80, b) })
		if f.e.Len() != 0 {
			t.Fatalf("byte %d can be changed", i)
		}
	}
}

func TestReplayedSYNOpensNothing(t *testing.T) {
	f := accepting(t, &user{})
	p := f.open(9)
	p.flags = reset | sig
	if err := f.send(p); err != nil || f.e.Len() != 0 {
		t.Fatalf("%v, %d streams after the RESET", err, f.e.Len())
	}
	if err := f.send(f.syn(9)); !errors.Is(err, streaming.ErrSignature) || f.e.Len() != 0 {
		t.Errorf("%v, %d streams after the replay", err, f.e.Len())
	}
}

func TestCloseAndResetMustBeSigned(t *testing.T) {
	for _, flag := range []uint16{closing, reset} {
		u := &user{}
		f := accepting(t, u)
		p := f.open(9)
		p.sequence, p.flags = 1, flag
		if err := f.send(p); !errors.Is(err, streaming.ErrSignature) || u.err != nil {
			t.Errorf("unsigned: %v, the stream has %v", err, u.err)
		}
		p.flags |= sig
		q := p
		q.key, _ = signature.Generate(signature.Ed25519)
		if err := f.send(q); !errors.Is(err, streaming.ErrSignature) || u.err != nil {
			t.Errorf("signed by another: %v, the stream has %v", err, u.err)
		}
		if err := f.send(p); err != nil || u.err == nil {
			t.Errorf("signed: %v, the stream has %v", err, u.err)
		}
		u = &user{}
		f = accepting(t, u)
		f.bound = true
		p = f.open(9)
		p.sequence, p.flags = 1, flag
		if err := f.send(p); err != nil || u.err == nil {
			t.Errorf("bound: %v, the stream has %v", err, u.err)
		}
	}
}

func TestPacketsOfAnotherStreamAreIgnored(t *testing.T) {
	u := &user{}
	f := accepting(t, u)
	p := f.open(9)
	p.sequence, p.receiveID, p.payload = 1, 10, []byte("alien")
	if err := f.send(p); err != nil || u.count != 0 {
		t.Errorf("%v, %d bytes", err, u.count)
	}
}

// offlineLocal is a Destination whose own key is elsewhere.
func offlineLocal(t *testing.T, expires time.Time) streaming.Local {
	t.Helper()
	l := newLocal(t)
	transient, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	o, err := data.NewOfflineSignature(l.Key, expires, signature.Ed25519, transient.Public())
	if err != nil {
		t.Fatal(err)
	}
	l.Key, l.Offline = transient, o.Append(nil)
	return l
}

func TestOfflineSignaturesOpenStreamsUntilTheyExpire(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	p := &path{delay: 50 * time.Millisecond, unbound: true}
	h := w.Host("192.0.2.1")
	a := newEnd(h, config(), offlineLocal(t, w.Now().Add(time.Hour)), w.Rand().Float64, p)
	b := newEnd(h, config(), offlineLocal(t, w.Now().Add(2*time.Hour)), w.Rand().Float64, p)
	connect(a, b)
	b.serve(t, func() *user { return &user{out: []byte("hello"), finish: true} })
	client := &user{out: []byte("hi"), finish: true}
	client.open(t, a, b)
	w.Run(time.Minute)
	if string(client.got) != "hello" || a.Len()+b.Len() != 0 || len(a.errs)+len(b.errs) != 0 {
		t.Errorf("got %q, errors %v %v", client.got, a.errs, b.errs)
	}
	w.Run(time.Hour)
	client = &user{}
	client.open(t, a, b)
	w.Run(time.Minute)
	if len(b.errs) == 0 || !errors.Is(b.errs[0], streaming.ErrSignature) || b.Len() != 0 {
		t.Errorf("after its end: %v", b.errs)
	}
}

// TestTransientKeyIsRemembered: only the SYN need carry the offline block.
func TestTransientKeyIsRemembered(t *testing.T) {
	u := &user{}
	f := accepting(t, u)
	f.local = offlineLocal(t, f.w.Now().Add(time.Minute))
	f.hash = f.local.Destination.Hash()
	p := f.syn(9)
	p.flags |= offline
	p.offline = f.local.Offline
	if err := f.send(p); err != nil {
		t.Fatal(err)
	}
	p = wirePacket{sendID: f.last().receiveID, receiveID: 9, sequence: 1, flags: closing | sig, key: f.local.Key}
	if err := f.send(p); err != nil || u.err == nil {
		t.Errorf("%v, the stream has %v", err, u.err)
	}
	f.w.Run(61 * time.Second)
	p.flags = reset | sig
	if err := f.send(p); !errors.Is(err, streaming.ErrSignature) {
		t.Errorf("after its end: %v", err)
	}
}

// TestSessionDoesNotVouchForOfflineKeys: what is not signed changes no keys.
func TestSessionDoesNotVouchForOfflineKeys(t *testing.T) {
	u := &user{}
	f := accepting(t, u)
	f.bound = true
	p := f.open(9)
	p.sequence, p.flags = 1, closing|offline
	p.offline = offlineLocal(t, f.w.Now().Add(time.Hour)).Offline
	if err := f.send(p); !errors.Is(err, streaming.ErrSignature) || u.err != nil {
		t.Errorf("%v, the stream has %v", err, u.err)
	}
}

func TestNobodyElseSpeaksOnAStream(t *testing.T) {
	f := newForger(t, config())
	u := &user{}
	f.e.h.Do(func(r *host.Round) {
		var err error
		if u.s, err = f.e.Open(r, f.hash, 80, u.notify); err != nil {
			t.Fatal(err)
		}
	})
	other := newLocal(t)
	answer := wirePacket{
		sendID: f.last().receiveID, receiveID: 9,
		flags: syn | sig | from, from: other.Destination.Bytes(), key: other.Key,
	}
	if err := f.send(answer); !errors.Is(err, streaming.ErrSignature) {
		t.Errorf("another answered: %v", err)
	}
	answer.from, answer.key = f.local.Destination.Bytes(), f.local.Key
	if err := f.send(answer); err != nil {
		t.Fatal(err)
	}
	if ok, err := u.s.Established(); !ok || err != nil || u.s.Peer().Hash() != f.hash {
		t.Errorf("established: %v, %v", ok, err)
	}
	f.bound = true
	f.hash[0] ^= 1
	p := wirePacket{sendID: answer.sendID, receiveID: 9, sequence: 1, payload: []byte("x")}
	if err := f.send(p); !errors.Is(err, streaming.ErrSignature) || u.count != 0 {
		t.Errorf("data of another session: %v", err)
	}
}

func TestSYNFloodIsBounded(t *testing.T) {
	cfg := config()
	cfg.MaxStreams, cfg.MaxPerPeer = 100, 10
	w := sim.New(t, 1, sim.Config{})
	h := w.Host("192.0.2.1")
	p := &path{delay: 50 * time.Millisecond, unbound: true}
	b := newEnd(h, cfg, newLocal(t), w.Rand().Float64, p)
	friend := newEnd(h, cfg, newLocal(t), w.Rand().Float64, p)
	connect(friend, b)
	server, client := &user{}, &user{}
	b.serve(t, func() *user {
		if server.s == nil {
			return server
		}
		return &user{}
	})
	client.open(t, friend, b)
	w.Run(time.Second)

	id := uint32(0)
	flood := func(peers, each int) {
		for range peers {
			f := &forger{t: t, w: w, local: newLocal(t), e: b}
			for range each {
				id++
				_ = f.send(f.syn(id))
			}
		}
		w.Run(time.Second)
	}
	sent := b.sent
	flood(1, 30)
	if b.Len() != 11 {
		t.Errorf("one peer has opened %d streams", b.Len()-1)
	}
	flood(30, 10)
	if b.Len() != 100 {
		t.Errorf("there are %d streams", b.Len())
	}
	if n := b.sent - sent; n > 100+2*30 {
		t.Errorf("%d answers were sent", n)
	}
	client.out = pattern(100000)
	h.Do(client.notify)
	w.Run(10 * time.Second)
	if server.count != 100000 || client.err != nil {
		t.Errorf("the old stream has suffered: %v, %d bytes came", client.err, server.count)
	}
	w.Run(10 * time.Minute)
	if b.Len() > 1 {
		t.Errorf("%d streams are left after the flood", b.Len())
	}
}

func TestUnknownStreamsAreResetSparingly(t *testing.T) {
	f := newForger(t, config())
	p := wirePacket{sendID: 1, receiveID: 2, sequence: 1, payload: []byte("x")}
	if f.send(p); len(f.got) != 0 {
		t.Error("a stranger was answered")
	}
	f.bound = true
	for range 100 {
		f.send(p)
	}
	if n := len(f.got); n == 0 || n > 10 {
		t.Errorf("%d RESETs were sent", n)
	} else if q := f.got[0]; q.flags&(reset|sig) != reset|sig || q.sendID != 2 {
		t.Errorf("the answer is %+v", q)
	}
	n := len(f.got)
	p.flags = reset | sig
	p.key = f.local.Key
	f.w.Run(time.Minute)
	f.send(p)
	f.send(wirePacket{sendID: 1, receiveID: 2})
	if len(f.got) != n {
		t.Error("a RESET or an acknowledgement was answered")
	}
}
