package host_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"allium/internal/host"
)

// stream is a handler made of functions, each of which may be nil.
type stream struct {
	opened, writable func(r *host.Round)
	data             func(r *host.Round, b []byte)
	closed           func(r *host.Round, err error)
}

func (s *stream) Opened(r *host.Round) {
	if s.opened != nil {
		s.opened(r)
	}
}

func (s *stream) Data(r *host.Round, b []byte) {
	if s.data != nil {
		s.data(r, b)
	}
}

func (s *stream) Writable(r *host.Round) {
	if s.writable != nil {
		s.writable(r)
	}
}

func (s *stream) Closed(r *host.Round, err error) {
	if s.closed != nil {
		s.closed(r, err)
	}
}

// datagram is a handler of packets.
type datagram func(r *host.Round, from netip.AddrPort, b []byte)

func (d datagram) Datagram(r *host.Round, from netip.AddrPort, b []byte) { d(r, from, b) }

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// locked is a log that may be read while it is written.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestPanicEndsItsStreamAlone(t *testing.T) {
	log := &locked{}
	p := newPortable(t, host.Config{Log: slog.New(slog.NewTextHandler(log, nil))})
	var ended, closed, echoed atomic.Int32
	l, err := p.ListenTCP(loopback, func(_ *host.Round, s host.Stream) host.StreamHandler {
		return &stream{
			data: func(r *host.Round, b []byte) {
				r.Later(host.Seal, ender(func(*host.Round) { ended.Add(1) }))
				if b[0] == '!' {
					panic("bad byte")
				}
				s.Write(b)
			},
			closed: func(_ *host.Round, err error) {
				if err != nil && strings.Contains(err.Error(), "panicked") {
					closed.Add(1)
				}
			},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var gone atomic.Bool
	bad := p.DialTCP(netip.Addr{}, l.Addr(), &stream{closed: func(*host.Round, error) { gone.Store(true) }})
	good := p.DialTCP(netip.Addr{}, l.Addr(), &stream{data: func(_ *host.Round, b []byte) { echoed.Add(int32(len(b))) }})
	bad.Write([]byte("!"))
	if !eventually(func() bool { return gone.Load() && closed.Load() == 1 }) {
		t.Fatal("the stream was not closed")
	}
	good.Write([]byte("fine"))
	if !eventually(func() bool { return echoed.Load() == 4 }) {
		t.Fatal("the other stream does not work")
	}
	if ended.Load() != 2 {
		t.Errorf("%d of 2 rounds ended", ended.Load())
	}
	if p.Panics() != 1 || !strings.Contains(log.String(), "bad byte") || !strings.Contains(log.String(), "panic_test.go") {
		t.Errorf("%d panics counted, logged: %s", p.Panics(), log)
	}
}

func TestPanicAtTheEndOfARoundKeepsTheRest(t *testing.T) {
	p := newPortable(t, host.Config{})
	var rest atomic.Bool
	p.AfterFunc(0, func(r *host.Round) {
		r.Later(host.Encrypt, ender(func(*host.Round) { panic("broken") }))
		r.Later(host.Encrypt, ender(func(*host.Round) { panic("broken too") }))
		r.Later(host.Seal, ender(func(*host.Round) { rest.Store(true) }))
	})
	if !eventually(rest.Load) || p.Panics() != 2 {
		t.Errorf("the rest ran: %v, panics: %d", rest.Load(), p.Panics())
	}
}

func TestEndlessPanicAtTheEndOfARoundStops(t *testing.T) {
	p := newPortable(t, host.Config{})
	var again ender
	again = func(r *host.Round) {
		r.Later(host.Seal, again)
		panic("again")
	}
	p.Do(func(r *host.Round) { r.Later(host.Seal, again) })
	p.Do(func(r *host.Round) {})
	if n := p.Panics(); n == 0 || n > 100 {
		t.Errorf("%d panics", n)
	}
}

func TestPanicOfDoReachesTheCaller(t *testing.T) {
	p := newPortable(t, host.Config{})
	ended := false
	func() {
		defer func() {
			if v := recover(); v != "mine" {
				t.Errorf("recovered %v", v)
			}
		}()
		p.Do(func(r *host.Round) {
			r.Later(host.Seal, ender(func(*host.Round) { ended = true }))
			panic("mine")
		})
	}()
	if !ended || p.Panics() != 0 {
		t.Errorf("the round ended: %v, panics contained: %d", ended, p.Panics())
	}
}

func TestPanicsOfTimersAndWorkAreContained(t *testing.T) {
	p := newPortable(t, host.Config{Workers: 1})
	var after atomic.Bool
	p.Spawn(func(*host.Round) { panic("work") })
	p.Spawn(func(*host.Round) { after.Store(true) })
	p.AfterFunc(0, func(*host.Round) { panic("timer") })
	if !eventually(func() bool { return p.Panics() == 2 && after.Load() }) {
		t.Errorf("%d panics, the worker goes on: %v", p.Panics(), after.Load())
	}
}

func TestPanicInAcceptRefuses(t *testing.T) {
	p := newPortable(t, host.Config{})
	l, err := p.ListenTCP(loopback, func(*host.Round, host.Stream) host.StreamHandler { panic("accept") })
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var closed atomic.Bool
		p.DialTCP(netip.Addr{}, l.Addr(), &stream{closed: func(*host.Round, error) { closed.Store(true) }})
		if !eventually(closed.Load) {
			t.Fatal("the connection stands")
		}
	}
}

func TestPanicOnADatagramKeepsTheSocket(t *testing.T) {
	p := newPortable(t, host.Config{})
	var got atomic.Int32
	d, err := p.ListenUDP(loopback, datagram(func(_ *host.Round, _ netip.AddrPort, b []byte) {
		if b[0] == '!' {
			panic("bad byte")
		}
		got.Add(1)
	}))
	if err != nil {
		t.Fatal(err)
	}
	d.Send(d.Addr(), []byte("!"))
	d.Send(d.Addr(), []byte("fine"))
	if !eventually(func() bool { return got.Load() == 1 && p.Panics() == 1 }) {
		t.Errorf("%d packets, %d panics", got.Load(), p.Panics())
	}
}
