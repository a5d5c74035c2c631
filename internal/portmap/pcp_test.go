package portmap_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"allium/internal/portmap"
)

// gateway is one that speaks PCP, NAT-PMP or both.
type gateway struct {
	pcp, natpmp bool
	external    netip.Addr
	// twist changes an answer of PCP or NAT-PMP, or drops it as nil.
	twist func(request, answer []byte) []byte
	// elsewhere answers from another port than it was asked at.
	elsewhere net.PacketConn

	mu       sync.Mutex
	mapped   map[byte]uint16 // external ports by protocol
	owner    map[byte][]byte // nonces
	requests int
	shift    uint16 // of the external port
}

func (g *gateway) serve(h *home) *gateway {
	if !g.external.IsValid() {
		g.external = outside
	}
	g.mapped, g.owner = map[byte]uint16{}, map[byte][]byte{}
	h.port = serve(h.t, func(conn net.PacketConn, from net.Addr, b []byte) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.requests++
		answer := g.answer(b)
		if g.twist != nil && b[0] == 2 {
			answer = g.twist(b, answer)
		}
		if g.elsewhere != nil {
			conn = g.elsewhere
		}
		if answer != nil {
			_, _ = conn.WriteTo(answer, from)
		}
	})
	return g
}

// lock runs f while the gateway does nothing.
func (g *gateway) lock(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// maps tells the external port of a protocol, 0 for none.
func (g *gateway) maps(protocol byte) (port uint16) {
	g.lock(func() { port = g.mapped[protocol] })
	return port
}

func (g *gateway) answer(b []byte) []byte {
	switch {
	case len(b) == 60 && b[0] == 2 && b[1] == 1 && g.pcp:
		return g.answerPCP(b)
	case len(b) == 2 && b[0] == 0 && g.natpmp:
		in4 := g.external.As4()
		return append([]byte{0, 128, 0, 0, 0, 0, 0, 9}, in4[:]...)
	case len(b) == 12 && b[0] == 0 && g.natpmp:
		return g.answerNATPMP(b)
	case b[0] == 2 && !g.pcp:
		return []byte{0, 129, 0, 1, 0, 0, 0, 9}
	case b[0] == 0 && len(b) > 1:
		return []byte{0, 128 | b[1], 0, 1, 0, 0, 0, 9}
	}
	return nil
}

func (g *gateway) answerPCP(b []byte) []byte {
	answer := bytes.Clone(b)
	answer[1] |= 0x80
	clear(answer[8:24])
	answer[11] = 9 // epoch
	protocol, life := b[36], binary.BigEndian.Uint32(b[4:])
	switch {
	case !bytes.Equal(b[8:24], netip.AddrFrom4(loopback.As4()).AsSlice()) && !bytes.HasSuffix(b[8:24], loopback.AsSlice()):
		answer[3] = 12
		return answer
	case g.owner[protocol] != nil && !bytes.Equal(g.owner[protocol], b[24:36]):
		answer[3] = 2
		return answer
	case life == 0:
		delete(g.mapped, protocol)
		delete(g.owner, protocol)
		return answer
	}
	g.owner[protocol] = bytes.Clone(b[24:36])
	g.mapped[protocol] = binary.BigEndian.Uint16(b[42:]) + g.shift
	binary.BigEndian.PutUint32(answer[4:], min(life, 3600))
	binary.BigEndian.PutUint16(answer[42:], g.mapped[protocol])
	in16 := g.external.As16()
	copy(answer[44:], in16[:])
	return answer
}

func (g *gateway) answerNATPMP(b []byte) []byte {
	protocol := map[byte]byte{1: 17, 2: 6}[b[1]]
	life := binary.BigEndian.Uint32(b[8:])
	if life == 0 {
		delete(g.mapped, protocol)
	} else {
		g.mapped[protocol] = binary.BigEndian.Uint16(b[6:]) + g.shift
	}
	answer := []byte{0, b[1] | 128, 0, 0, 0, 0, 0, 9, b[4], b[5]}
	answer = binary.BigEndian.AppendUint16(answer, g.mapped[protocol])
	return binary.BigEndian.AppendUint32(answer, life)
}

func TestAPortIsMappedAndTakenBack(t *testing.T) {
	t.Parallel()
	for method, g := range map[string]*gateway{
		"PCP":     {pcp: true},
		"NAT-PMP": {natpmp: true},
	} {
		h := newHome(t)
		g.serve(h)
		h.w.Protocols = append(h.w.Protocols, portmap.UDP)
		m := h.start()
		h.want("45.66.77.88:12345")
		if e := h.next(); e.protocol != portmap.UDP || e.external.Port() != ours {
			t.Errorf("%s: %v", method, e)
		}
		if s := m.Status(); len(s.Ports) != 2 || !strings.HasPrefix(s.Ports[0].Method, method) {
			t.Errorf("%s: %+v", method, s)
		}
		if g.maps(6) != ours || g.maps(17) != ours {
			t.Errorf("%s: the gateway has not mapped", method)
		}
		m.Close()
		if g.maps(6) != 0 || g.maps(17) != 0 {
			t.Errorf("%s: still mapped", method)
		}
		m.Close() // again
	}
}

func TestAnotherPortThanWantedIsTaken(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	g := (&gateway{pcp: true, shift: 100}).serve(h)
	h.start()
	h.want("45.66.77.88:12445")
	if g.maps(6) != ours+100 {
		t.Error("the gateway maps another one")
	}
}

// TestAGatewayThatWasRestartedMapsAgain loses everything, and has a new
// address and port afterwards.
func TestAGatewayThatWasRestartedMapsAgain(t *testing.T) {
	t.Parallel()
	for _, g := range []*gateway{{pcp: true}, {natpmp: true}} {
		h := newHome(t)
		g.serve(h)
		m := h.start()
		h.want("45.66.77.88:12345")
		g.lock(func() {
			clear(g.mapped)
			clear(g.owner)
			g.external = netip.MustParseAddr("45.66.77.99")
		})
		m.Check()
		h.want("45.66.77.99:12345")
		if g.maps(6) != ours {
			t.Error("not mapped")
		}
	}
}

func TestALostGatewayIsTold(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	g := (&gateway{pcp: true}).serve(h)
	m := h.start()
	h.want("45.66.77.88:12345")
	g.lock(func() { g.pcp = false })
	m.Check()
	h.want("")
	g.lock(func() { g.pcp = true })
	m.Check()
	h.want("45.66.77.88:12345")
}

func TestWhoeverHasThePortIsNotDisplaced(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.hurry = true
	g := (&gateway{pcp: true}).serve(h)
	g.lock(func() { g.owner[6] = []byte("another one."); g.mapped[6] = ours })
	tried := h.failed(h.start())
	if !errors.Is(tried[0].Err, portmap.ErrRefused) || !strings.Contains(tried[0].Err.Error(), "not authorized") {
		t.Errorf("%v", tried)
	}
	if g.maps(6) != ours {
		t.Error("the mapping of another is gone")
	}
}

func TestAGatewayBehindAnotherIsReportedAndNotUsed(t *testing.T) {
	t.Parallel()
	for _, g := range []*gateway{{pcp: true}, {natpmp: true}} {
		h := newHome(t)
		g.external = netip.MustParseAddr("100.64.1.2")
		g.serve(h)
		tried := h.failed(h.start())
		found := false
		for _, a := range tried {
			found = found || errors.Is(a.Err, portmap.ErrDoubleNAT)
		}
		if !found || g.maps(6) != 0 {
			t.Errorf("%v, still mapped: %v", tried, g.maps(6) != 0)
		}
	}
	h := newHome(t)
	h.w.AnyAddress = true
	(&gateway{pcp: true, external: netip.MustParseAddr("10.1.2.3")}).serve(h)
	h.start()
	h.want("10.1.2.3:12345")
}

func TestLostAndLatePacketsAreAskedForAgain(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	n := 0
	(&gateway{pcp: true, twist: func(_, answer []byte) []byte {
		if n++; n < 3 {
			return nil
		}
		return answer
	}}).serve(h)
	h.start()
	h.want("45.66.77.88:12345")
}

// TestBadAnswersOfPCPMapNothing has an answer a row; what follows each is the
// other ways, which nobody listens to.
func TestBadAnswersOfPCPMapNothing(t *testing.T) {
	t.Parallel()
	change := func(i int, v byte) func(_, answer []byte) []byte {
		return func(_, answer []byte) []byte {
			if answer != nil {
				answer[i] = v
			}
			return answer
		}
	}
	for name, c := range map[string]struct {
		twist func(request, answer []byte) []byte
		want  error
	}{
		"refused":          {change(3, 8), portmap.ErrRefused},
		"unknown result":   {change(3, 99), portmap.ErrRefused},
		"other nonce":      {change(24, 77), portmap.ErrMalformed},
		"other protocol":   {change(36, 17), portmap.ErrMalformed},
		"other local port": {change(40, 77), portmap.ErrMalformed},
		"request":          {func(request, _ []byte) []byte { return request }, portmap.ErrMalformed},
		"short":            {func(_, answer []byte) []byte { return answer[:min(len(answer), 44)] }, portmap.ErrMalformed},
		"odd":              {func(_, answer []byte) []byte { return append(answer, 0) }, portmap.ErrMalformed},
		"empty":            {func(_, answer []byte) []byte { return []byte{} }, portmap.ErrMalformed},
		"no life": {func(_, answer []byte) []byte {
			clear(answer[min(4, len(answer)):min(8, len(answer))])
			return answer
		}, portmap.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.hurry = true
			(&gateway{pcp: true, twist: c.twist}).serve(h)
			if tried := h.failed(h.start()); !errors.Is(tried[0].Err, c.want) {
				t.Errorf("%v", tried)
			}
		})
	}
}

func TestAnswersFromElsewhereAreNotHeard(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.hurry = true
	elsewhere, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	(&gateway{pcp: true, natpmp: true, elsewhere: elsewhere}).serve(h)
	tried := h.failed(h.start())
	if len(tried) != 3 || !errors.Is(tried[0].Err, portmap.ErrSilent) || !errors.Is(tried[1].Err, portmap.ErrSilent) {
		t.Errorf("%v", tried)
	}
}

func TestNobodyThereIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.hurry = true
	for _, a := range h.failed(h.start()) {
		if !errors.Is(a.Err, portmap.ErrSilent) {
			t.Errorf("%v", a)
		}
	}
}

func TestCloseEndsASearch(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	asked := make(chan struct{}, 16)
	h.port = serve(t, func(net.PacketConn, net.Addr, []byte) { asked <- struct{}{} })
	m := h.start()
	<-asked
	closed := make(chan struct{})
	go func() { m.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

func FuzzAnswers(f *testing.F) {
	var pcp [60]byte
	pcp[0], pcp[1] = 2, 0x81
	f.Add(pcp[:])
	f.Add([]byte{0, 129, 0, 1, 0, 0, 0, 9})
	f.Add([]byte{0, 130, 0, 0, 0, 0, 0, 9, 48, 57, 48, 57, 0, 0, 28, 32})
	f.Add([]byte{0, 128, 0, 0, 0, 0, 0, 9, 45, 66, 77, 88})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, _, err := portmap.ParsePCP(b); err == nil && len(b) < 60 {
			t.Error("too short for PCP")
		}
		_, _, addr, err, addrErr := portmap.ParseNATPMP(b)
		if err == nil && addrErr == nil || addrErr == nil && !addr.Is4() {
			t.Error("two things at once")
		}
	})
}
