package hosttest

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"allium/internal/host"
)

func streamOpens(t *testing.T, p *Pair) {
	a, b, _ := p.connect(t)
	b.with(func() {
		if b.opened != 0 {
			t.Error("the accepted stream was told Opened")
		}
	})
	a.with(func() {
		if a.opened != 1 {
			t.Errorf("Opened was called %d times", a.opened)
		}
	})
}

// bytesArriveInOrder sends in pieces of many sizes, both ways.
func bytesArriveInOrder(t *testing.T, p *Pair) {
	a, b, _ := p.connect(t)
	want := pattern(200_000)
	for rest, n := want, 1; len(rest) > 0; n = n*3%4096 + 1 {
		n = min(n, len(rest))
		for _, c := range []*recorder{a, b} {
			if err := c.stream.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
		}
		rest = rest[n:]
	}
	for _, c := range []*recorder{a, b} {
		p.wait(t, "all bytes were there", func() bool { return c.received() >= len(want) })
		c.with(func() {
			if !bytes.Equal(c.data, want) {
				t.Error("the bytes differ")
			}
			if c.reads < 2 {
				t.Errorf("%d bytes came in one read", len(want))
			}
		})
		p.wait(t, "the queue was empty", func() bool { return c.stream.Queued() == 0 })
	}
}

func writesBeforeOpened(t *testing.T, p *Pair) {
	s := p.listen(t)
	c := &recorder{}
	want := append(pattern(5000), "last"...)
	c.onOpened = func() { c.stream.Write([]byte("last")) }
	var err error
	c.with(func() {
		c.stream = p.A.DialTCP(p.AddrA, s.listener.Addr(), c)
		err = c.stream.Write(want[:5000])
	})
	if err != nil {
		t.Fatal(err)
	}
	p.wait(t, "all bytes were there", func() bool { return s.first() != nil && s.first().received() == len(want) })
	s.first().with(func() {
		if !bytes.Equal(s.first().data, want) {
			t.Error("the bytes differ")
		}
	})
}

// fullQueue writes to a peer that does not read, then lets it.
func fullQueue(t *testing.T, p *Pair) {
	s := p.listen(t)
	gate := make(chan struct{})
	s.onAccept = func(c *recorder) { c.onData = func([]byte) { <-gate } }
	c := p.dial(s.listener.Addr())
	p.wait(t, "the connection stood", func() bool { return c.isOpen() && s.first() != nil })
	if err := c.stream.Write(make([]byte, host.StreamQueue+1)); !errors.Is(err, host.ErrFull) {
		t.Errorf("a write larger than the queue: %v", err)
	}
	sent := 0
	block := pattern(8 << 10)
	var err error
	for err == nil && sent < 1<<30 {
		if err = c.stream.Write(block); err == nil {
			sent += len(block)
		}
	}
	if !errors.Is(err, host.ErrFull) {
		t.Fatalf("writing without end: %v", err)
	}
	if q := c.stream.Queued(); q > host.StreamQueue {
		t.Errorf("%d bytes are queued", q)
	}
	close(gate)
	p.wait(t, "the queue was writable again", func() (yes bool) {
		c.with(func() { yes = c.writable > 0 })
		return yes
	})
	p.wait(t, "all bytes were there", func() bool { return s.first().received() == sent })
	if err := c.stream.Write(block); err != nil {
		t.Errorf("a write after Writable: %v", err)
	}
	c.sound(t)
}

func closeFlushes(t *testing.T, p *Pair) {
	a, b, _ := p.connect(t)
	want := pattern(host.StreamQueue - 1)
	if err := a.stream.Write(want); err != nil {
		t.Fatal(err)
	}
	a.stream.Close()
	p.wait(t, "both ends were closed", func() bool { return a.isClosed() && b.isClosed() })
	b.with(func() {
		if !bytes.Equal(b.data, want) {
			t.Errorf("%d of %d bytes came before the end", len(b.data), len(want))
		}
	})
	if err := b.reason(); err != io.EOF {
		t.Errorf("the peer was told %v", err)
	}
	if err := a.reason(); !errors.Is(err, host.ErrClosed) {
		t.Errorf("the closing side was told %v", err)
	}
}

// closeWhilePeerSends closes a stream to a peer that reads late and sends
// meanwhile: that must not cost it the last bytes of ours.
func closeWhilePeerSends(t *testing.T, p *Pair) {
	s := p.listen(t)
	gate := make(chan struct{})
	if !p.Inline {
		s.onAccept = func(c *recorder) { c.onData = func([]byte) { <-gate } }
	}
	a := p.dial(s.listener.Addr())
	p.wait(t, "the connection stood", func() bool { return a.isOpen() && s.first() != nil })
	b := s.first()
	want := pattern(host.StreamQueue)
	a.stream.Write(want)
	a.stream.Close()
	p.wait(t, "this end was closed", a.isClosed)
	b.stream.Write(pattern(20_000))
	p.Settle()
	close(gate)
	p.wait(t, "the other end was closed", b.isClosed)
	b.with(func() {
		if !bytes.Equal(b.data, want) || b.closed[0] != io.EOF {
			t.Errorf("%d of %d bytes came, then %v", len(b.data), len(want), b.closed[0])
		}
	})
}

// closeDropsArrivals closes a stream in the middle of what the peer sends.
func closeDropsArrivals(t *testing.T, p *Pair) {
	s := p.listen(t)
	s.onAccept = func(c *recorder) {
		c.onData = func([]byte) {
			c.stream.Write(pattern(host.StreamQueue)) // Close waits for it
			c.stream.Close()
		}
	}
	a := p.dial(s.listener.Addr())
	p.wait(t, "the connection stood", func() bool { return a.isOpen() && s.first() != nil })
	for range 100 {
		if a.stream.Write(pattern(10_000)) != nil {
			break
		}
	}
	b := s.first()
	p.wait(t, "both ends were closed", func() bool { return a.isClosed() && b.isClosed() })
	b.with(func() {
		if b.reads != 1 {
			t.Errorf("there were %d calls of Data after Close", b.reads-1)
		}
	})
}

// neverOverlap has both ends send as fast as they can.
func neverOverlap(t *testing.T, p *Pair) {
	const total = 2 << 20
	s := p.listen(t)
	block := pattern(30_000)
	flood := func(c *recorder) {
		var mu sync.Mutex
		sent := 0
		more := func() {
			mu.Lock()
			defer mu.Unlock()
			for sent < total && c.stream.Write(block) == nil {
				sent += len(block)
			}
		}
		c.onOpened, c.onWritable, c.onData = more, more, func([]byte) { more() }
	}
	s.onAccept = func(c *recorder) { flood(c) }
	a := &recorder{}
	flood(a)
	a.with(func() { a.stream = p.A.DialTCP(netip.Addr{}, s.listener.Addr(), a) })
	enough := func(c *recorder) bool { return c.received() >= total }
	p.wait(t, "all bytes were there", func() bool { return s.first() != nil && enough(s.first()) && enough(a) })
	a.sound(t)
	s.first().sound(t)
}

func closeEndsWrites(t *testing.T, p *Pair) {
	a, b, _ := p.connect(t)
	a.stream.Close()
	a.stream.Close()
	if err := a.stream.Write([]byte("x")); !errors.Is(err, host.ErrClosed) {
		t.Errorf("a write after Close: %v", err)
	}
	p.wait(t, "both ends were closed", func() bool { return a.isClosed() && b.isClosed() })
	if err := b.stream.Write([]byte("x")); !errors.Is(err, host.ErrClosed) {
		t.Errorf("a write after Closed: %v", err)
	}
	a.stream.Reset()
	b.stream.Close()
	p.Settle()
}

func closeDuringDial(t *testing.T, p *Pair) {
	s := p.listen(t)
	c := p.dial(s.listener.Addr())
	c.stream.Close()
	p.wait(t, "the dial was given up", c.isClosed)
	if err := c.reason(); !errors.Is(err, host.ErrClosed) {
		t.Errorf("the reason is %v", err)
	}
	p.Settle()
	c.sound(t)
	c.with(func() {
		if c.opened > 0 && len(c.closed) == 0 {
			t.Error("it opened and never closed")
		}
	})
}

func closeInAccept(t *testing.T, p *Pair) {
	s := p.listen(t)
	s.onAccept = func(c *recorder) {
		c.stream.Write([]byte("bye"))
		c.stream.Close()
	}
	c := p.dial(s.listener.Addr())
	p.wait(t, "both ends were closed", func() bool { return c.isClosed() && s.first() != nil && s.first().isClosed() })
	c.with(func() {
		if string(c.data) != "bye" || c.closed[0] != io.EOF {
			t.Errorf("got %q and %v", c.data, c.closed[0])
		}
	})
	c.sound(t)
	s.first().sound(t)
}

func resetTells(t *testing.T, p *Pair) {
	a, b, _ := p.connect(t)
	b.stream.Write(pattern(host.StreamQueue))
	a.stream.Reset()
	p.wait(t, "both ends were closed", func() bool { return a.isClosed() && b.isClosed() })
	if err := a.reason(); !errors.Is(err, host.ErrClosed) {
		t.Errorf("this side was told %v", err)
	}
	if err := b.reason(); !errors.Is(err, host.ErrReset) {
		t.Errorf("the peer was told %v", err)
	}
	p.wait(t, "the queues were dropped", func() bool { return a.stream.Queued() == 0 && b.stream.Queued() == 0 })
}

func refusedByHandler(t *testing.T, p *Pair) {
	s := p.listen(t)
	s.refuse = true
	c := p.dial(s.listener.Addr())
	p.wait(t, "the stream was closed", c.isClosed)
	if err := c.reason(); !errors.Is(err, host.ErrReset) {
		t.Errorf("the dialler was told %v", err)
	}
	c.sound(t)
}

func refusedByNobody(t *testing.T, p *Pair) {
	s := p.listen(t)
	s.listener.Close()
	c := p.dial(s.listener.Addr())
	if got := c.stream.Local(); got.IsValid() {
		t.Errorf("the local address before Opened is %v", got)
	}
	p.wait(t, "the dial failed", c.isClosed)
	if err := c.reason(); !errors.Is(err, host.ErrRefused) {
		t.Errorf("the dialler was told %v", err)
	}
	c.with(func() {
		if c.opened > 0 {
			t.Error("it opened")
		}
	})
}

func listenerClose(t *testing.T, p *Pair) {
	a, b, s := p.connect(t)
	if err := s.listener.Close(); err != nil {
		t.Error(err)
	}
	a.stream.Write([]byte("still here"))
	p.wait(t, "the bytes were there", func() bool { return b.received() == 10 })
}

func addressesMatch(t *testing.T, p *Pair) {
	a, b, s := p.connect(t)
	if got := a.stream.Remote(); got != s.listener.Addr() || b.stream.Local() != got {
		t.Errorf("dialled %v, the peer is at %v", got, b.stream.Local())
	}
	if a.stream.Local() != b.stream.Remote() || a.stream.Local().Addr() != p.AddrA {
		t.Errorf("%v is seen as %v", a.stream.Local(), b.stream.Remote())
	}
	if s.listener.Addr().Port() == 0 {
		t.Error("the listener has no port")
	}
	if _, err := p.B.ListenTCP(s.listener.Addr(), nil); err == nil {
		t.Error("the port could be taken twice")
	}
	foreign := netip.MustParseAddrPort("203.0.113.77:0")
	if _, err := p.B.ListenTCP(foreign, nil); err == nil {
		t.Error("it listens on an address of others")
	}
}

func knowsAddresses(t *testing.T, p *Pair) {
	all := p.B.Addrs()
	if !slices.Contains(all, p.AddrB) || slices.ContainsFunc(all, netip.Addr.IsLinkLocalUnicast) {
		t.Errorf("%v should be among %v, and nothing of one link", p.AddrB, all)
	}
}
