// Package portmap asks the gateway of a home network to pass a port on, so that
// other routers can connect to this one.
//
// Gateways speak up to three languages, of which the first that works is used:
// PCP (RFC 6887, pcp.go), NAT-PMP (RFC 6886, natpmp.go) and UPnP IGD, versions
// 1 and 2 (ssdp.go, description.go, igd.go). A [Mapper] keeps the mapping: it asks
// for it again every few minutes, which is how a gateway that has lost it gets
// it back. What a gateway says is checked, an external address that is not a
// public one is reported and not used: there is another gateway behind it. In
// the end the mapping is taken back.
//
// Everything comes from the local network, where anybody may answer: answers
// are bounded in size, time and number, and their sender must be the one asked.
package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"allium/internal/data"
)

// Config is what an operator decides.
type Config struct {
	Enabled string     `default:"auto" choices:"auto,on,off" help:"Whether to ask the gateway of the local network (PCP, NAT-PMP, UPnP) to pass the router's port on. auto is on in the public network, unless the settings name hosts to publish, or publish nothing. A machine with a public address asks nobody."`
	Gateway netip.Addr `help:"Address of the gateway. Empty to find it."`
}

// Protocol is what a port is of, by its IANA number.
type Protocol uint8

// The protocols.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

// String is the name, in the capitals that UPnP wants.
func (p Protocol) String() string {
	if p == UDP {
		return "UDP"
	}
	return "TCP"
}

// Why a gateway does not map. Others are those of the system.
var (
	// ErrSilent reports that nobody answered.
	ErrSilent = errors.New("no answer")
	// ErrRefused reports an answer that says no; it comes wrapped, with what
	// the gateway said.
	ErrRefused = errors.New("refused")
	// ErrMalformed reports an answer that is none.
	ErrMalformed = errors.New("malformed answer")
	// ErrDoubleNAT reports a mapping on a gateway that has no public address
	// itself.
	ErrDoubleNAT = errors.New("the gateway is behind another one")
)

const (
	// lifetime is what mappings are asked for. One of a router that died is
	// gone after it.
	lifetime = 2 * time.Hour
	// checkEvery is how often the gateway is asked again at least.
	checkEvery, checkSpread = 10 * time.Minute, 2 * time.Minute
	// Without success it is tried again after growing pauses.
	firstPause, longestPause = 30 * time.Second, 30 * time.Minute
	// passTimeout bounds one attempt with all gateways, closeTimeout what is
	// done at the end.
	passTimeout  = time.Minute
	closeTimeout = 1500 * time.Millisecond
	// maxGateways is how many are tried.
	maxGateways = 4
)

// Nonce names the owner of mappings to PCP, which lets nobody else change them.
// A router keeps its own, to be the same after a restart.
type Nonce [12]byte

// Wiring is what a Mapper works with.
type Wiring struct {
	// Port is the local port, mapped for each of Protocols.
	Port      uint16
	Protocols []Protocol
	Nonce     Nonce
	// AnyAddress takes external addresses that are not public.
	AnyAddress bool
	// Local is the address to send from, zero for any, and Control what is
	// done to each socket; see net.Dialer.
	Local   netip.Addr
	Control func(network, address string, c syscall.RawConn) error
	// Mapped is told where a local address is reachable from outside, and with
	// a zero external one that it no longer is. Calls do not overlap.
	Mapped func(p Protocol, local, external netip.AddrPort)
	Log    *slog.Logger
}

// mapping is one port that a gateway passes on.
type mapping struct {
	protocol Protocol
	local    netip.AddrPort
	external netip.AddrPort // with a request, what is wished for
	lifetime time.Duration  // zero until the gateway forgets it
}

// method is a gateway and one way to talk to it. Its calls end soon after their
// context.
type method interface {
	// String names it for people, such as "PCP".
	String() string
	// add asks for a mapping, or for it to go on.
	add(ctx context.Context, want mapping) (mapping, error)
	// remove takes it back.
	remove(ctx context.Context, m mapping) error
}

// Mapper keeps ports mapped.
type Mapper struct {
	cfg  Config
	w    Wiring
	at   place
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup
	poke chan struct{}

	mu     sync.Mutex
	status Status

	// The rest belongs to the loop.
	way   method    // that works
	held  []mapping // one for each protocol
	pause time.Duration
}

// Start begins to keep ports mapped. Close ends it.
func Start(cfg Config, w Wiring) *Mapper { return start(cfg, w, theNetwork) }

func start(cfg Config, w Wiring, at place) *Mapper {
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	m := &Mapper{cfg: cfg, w: w, at: at, poke: make(chan struct{}, 1), pause: firstPause}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.done.Go(m.run)
	return m
}

// Check asks the gateway again soon: the network may be another one.
func (m *Mapper) Check() {
	select {
	case m.poke <- struct{}{}:
	default: // asked for already
	}
}

// Close takes the mappings back, for which it waits a moment.
func (m *Mapper) Close() {
	m.stop()
	m.done.Wait()
}

func (m *Mapper) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-m.ctx.Done():
			m.giveBack(m.way, m.held)
			return
		case <-m.poke:
			m.pause = firstPause
		case <-timer.C:
		}
		timer.Reset(m.pass())
	}
}

// lose tells of mappings that are no more.
func (m *Mapper) lose(err error) {
	m.w.Log.Info("port mapping lost", "method", m.way, "why", err)
	lost := m.held
	m.way, m.held = nil, nil
	m.reportHeld()
	for _, h := range lost {
		m.w.Mapped(h.protocol, h.local, netip.AddrPort{})
	}
}

// pass renews what there is, or looks for a gateway that maps, and tells when
// to do so again.
func (m *Mapper) pass() time.Duration {
	ctx, cancel := context.WithTimeout(m.ctx, passTimeout)
	defer cancel()
	if m.way != nil {
		held, err := m.addAll(ctx, m.way, m.held)
		if m.ctx.Err() != nil {
			return 0
		}
		if err == nil {
			m.hold(m.way, held)
			return m.next()
		}
		m.lose(err)
	}
	tried := m.search(ctx)
	m.reportTried(tried)
	if m.way == nil {
		defer func() { m.pause = min(2*m.pause, longestPause) }()
		return m.pause
	}
	m.pause = firstPause
	return m.next()
}

// next is when to ask again: half the time that is left, or sooner.
func (m *Mapper) next() time.Duration {
	wait := checkEvery + spread(checkSpread)
	for _, h := range m.held {
		if h.lifetime > 0 {
			wait = min(wait, h.lifetime/2)
		}
	}
	return max(wait, time.Second)
}

// search tries every way until one works.
func (m *Mapper) search(ctx context.Context) []Attempt {
	wishes := make([]mapping, len(m.w.Protocols))
	for i, p := range m.w.Protocols {
		wishes[i] = mapping{protocol: p, external: netip.AddrPortFrom(netip.Addr{}, m.w.Port)}
	}
	var tried []Attempt
	for _, way := range m.ways() {
		held, err := m.addAll(ctx, way, wishes)
		tried = append(tried, Attempt{Method: way.String(), Err: err})
		if err == nil {
			m.hold(way, held)
			break
		}
		if m.ctx.Err() != nil {
			break
		}
	}
	return tried
}

// addAll asks one way for all mappings, and gives those back again if one fails.
func (m *Mapper) addAll(ctx context.Context, way method, wishes []mapping) (held []mapping, err error) {
	for _, wish := range wishes {
		wish.local = netip.AddrPortFrom(wish.local.Addr(), m.w.Port)
		got, err := way.add(ctx, wish)
		if err == nil {
			held = append(held, got)
			err = m.usable(got.external.Addr())
		}
		if err != nil {
			m.giveBack(way, held)
			return nil, err
		}
	}
	return held, nil
}

// usable tells whether others can connect to an external address.
func (m *Mapper) usable(external netip.Addr) error {
	if m.w.AnyAddress || data.Routable(external) {
		return nil
	}
	return fmt.Errorf("%w: its address is %v", ErrDoubleNAT, external)
}

// giveBack removes mappings that are of no use, even while the Mapper ends.
func (m *Mapper) giveBack(way method, held []mapping) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), closeTimeout)
	defer cancel()
	for _, h := range held {
		if err := way.remove(ctx, h); err != nil {
			m.w.Log.Debug("port mapping not taken back", "method", way, "protocol", h.protocol, "err", err)
		}
	}
}

// hold keeps mappings and tells of those that are new.
func (m *Mapper) hold(way method, held []mapping) {
	before := m.held
	m.way, m.held = way, held
	m.reportHeld()
	for i, h := range held {
		if i < len(before) && before[i].local == h.local && before[i].external == h.external {
			continue
		}
		if i < len(before) && before[i].local != h.local {
			m.w.Mapped(h.protocol, before[i].local, netip.AddrPort{})
		}
		m.w.Log.Info("port mapped", "method", way, "protocol", h.protocol, "local", h.local, "external", h.external)
		m.w.Mapped(h.protocol, h.local, h.external)
	}
}
