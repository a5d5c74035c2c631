package portmap_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium/internal/portmap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience bounds every wait of these tests.
	patience = 30 * time.Second
	// ours is the local port that is mapped.
	ours = 12345
)

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	outside  = netip.MustParseAddr("45.66.77.88")
)

// event is one call of Mapped.
type event struct {
	protocol        portmap.Protocol
	local, external netip.AddrPort
}

// home is a home network and a Mapper in it.
type home struct {
	t      *testing.T
	events chan event
	port   uint16         // of PCP and NAT-PMP; nobody listens unless a test does
	ssdp   netip.AddrPort // of UPnP, the same
	w      portmap.Wiring
	// hurry is for those who expect no answer.
	hurry bool
}

func newHome(t *testing.T) *home {
	h := &home{t: t, events: make(chan event, 16)}
	h.port = closedPort(t)
	h.ssdp = netip.AddrPortFrom(loopback, closedPort(t))
	h.w = portmap.Wiring{
		Port: ours, Protocols: []portmap.Protocol{portmap.TCP}, Nonce: portmap.Nonce{1, 2, 3},
		Mapped: func(p portmap.Protocol, local, external netip.AddrPort) { h.events <- event{p, local, external} },
	}
	return h
}

// start starts a Mapper, which is closed with the test at the latest.
func (h *home) start() *portmap.Mapper {
	h.t.Helper()
	m := portmap.StartAt(portmap.Config{}, h.w, []netip.Addr{loopback}, h.port, h.ssdp, h.hurry)
	h.t.Cleanup(m.Close)
	return m
}

// next is the next event.
func (h *home) next() event {
	h.t.Helper()
	select {
	case e := <-h.events:
		return e
	case <-time.After(patience):
		h.t.Fatal("nothing was mapped")
		return event{}
	}
}

// want expects an event.
func (h *home) want(external string) {
	h.t.Helper()
	want := event{portmap.TCP, netip.AddrPortFrom(loopback, ours), netip.AddrPort{}}
	if external != "" {
		want.external = netip.MustParseAddrPort(external)
	}
	if got := h.next(); got != want {
		h.t.Fatalf("%v, want %v", got, want)
	}
}

// failed waits until a search has failed and gives its attempts.
func (h *home) failed(m *portmap.Mapper) []portmap.Attempt {
	h.t.Helper()
	giveUp := time.Now().Add(patience)
	for m.Status().At.IsZero() {
		if time.Now().After(giveUp) {
			h.t.Fatal("no search")
		}
		time.Sleep(10 * time.Millisecond)
	}
	s := m.Status()
	if len(s.Ports) != 0 || len(h.events) != 0 {
		h.t.Fatalf("mapped: %+v", s)
	}
	return s.Tried
}

// closedPort is a port of UDP that nobody listens on.
func closedPort(t *testing.T) uint16 {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// serve answers packets on loopback until the test ends.
func serve(t *testing.T, answer func(conn net.PacketConn, from net.Addr, b []byte)) uint16 {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	serving.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			answer(conn, from, b[:n])
		}
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}
