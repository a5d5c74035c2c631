package sim

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"allium/internal/host"
)

// machine is a place in the world with its addresses and its cable. What runs
// on it is a Host; a machine that was killed can be given a new one.
type machine struct {
	id       int
	place    uint64 // machines behind one translator share it
	name     string
	addrs    []netip.Addr
	realm    *realm
	link     Link
	on       bool  // it has power
	cable    bool  // it is plugged in
	upFree   int64 // when its link has sent what it was given
	downFree int64 // when its link has brought what is under way
	port     uint16
	host     *Host // the latest
}

// Host is one machine of the world. It implements [host.Host] for one router.
type Host struct {
	w       *World
	machine *machine
	skew    time.Duration
	stopped bool
	frozen  bool
	held    []action // to be called after Thaw

	rounds    []*host.Round         // to use again
	own       []func(r *host.Round) // given to Spawn and not begun
	others    []func(r *host.Round) // given to Serve and not begun
	working   int                   // workers at work
	listeners []*listener
	sockets   []*datagrams
	streams   []*stream
}

// Host adds a machine with the given addresses to the internet. The first one
// of a family is what it sends from.
func (w *World) Host(addrs ...string) *Host { return w.newHost(&w.internet, 0, addrs) }

// newHost adds a machine to r; place 0 is a new place.
func (w *World) newHost(r *realm, place uint64, addrs []string) *Host {
	if len(addrs) == 0 {
		panic("sim: a host needs an address")
	}
	if place == 0 {
		w.places++
		place = w.places
	}
	m := &machine{
		id:    len(w.machines),
		place: place,
		name:  addrs[0],
		realm: r,
		link:  w.cfg.Link,
		on:    true,
		cable: true,
		port:  firstPort,
	}
	w.machines = append(w.machines, m)
	for _, s := range addrs {
		a := netip.MustParseAddr(s)
		m.addrs = append(m.addrs, a)
		r.add(a, m)
	}
	return w.boot(m)
}

// boot puts a new Host on a machine.
func (w *World) boot(m *machine) *Host {
	m.on = true
	m.host = &Host{w: w, machine: m}
	return m.host
}

// Addr is the first address of the host, the zero Addr when it has none.
func (h *Host) Addr() netip.Addr {
	if len(h.machine.addrs) == 0 {
		return netip.Addr{}
	}
	return h.machine.addrs[0]
}

// Addrs implements [host.Host]: all addresses of the host.
func (h *Host) Addrs() []netip.Addr { return slices.Clone(h.machine.addrs) }

// String is the first address.
func (h *Host) String() string { return h.machine.name }

// Skew sets how much the host's clock is ahead.
func (h *Host) Skew(d time.Duration) { h.skew = d }

// Now implements [host.Host].
func (h *Host) Now() time.Time { return h.w.Now().Add(h.skew) }

// begin opens a round.
func (h *Host) begin() *host.Round {
	var r *host.Round
	if last := len(h.rounds) - 1; last >= 0 {
		r = h.rounds[last]
		h.rounds = h.rounds[:last]
	} else {
		r = new(host.Round)
	}
	r.Begin(h.Now())
	return r
}

// end ends it.
func (h *Host) end(r *host.Round) {
	r.End()
	h.rounds = append(h.rounds, r)
}

// Do implements [host.Host].
func (h *Host) Do(f func(r *host.Round)) {
	h.w.event(kindDo, h, netip.AddrPort{}, netip.AddrPort{}, nil, "")
	r := h.begin()
	f(r)
	h.end(r)
}

// timer is a call to come. It is dead when f is nil.
type timer struct {
	h *Host
	f func(r *host.Round)
}

// AfterFunc implements [host.Host].
func (h *Host) AfterFunc(d time.Duration, f func(r *host.Round)) host.Timer {
	t := &timer{h: h, f: f}
	if h.stopped {
		t.f = nil
		return t
	}
	h.w.events.at(h.w.events.now+int64(max(d, 0)), t)
	return t
}

// Stop implements [host.Timer].
func (t *timer) Stop() bool {
	if t.f == nil || t.h.stopped {
		return false
	}
	t.f = nil
	t.h.w.events.buried()
	return true
}

func (t *timer) fire(w *World) {
	if t.h.holds(t) {
		return
	}
	f := t.f
	t.f = nil
	if t.h.stopped {
		return
	}
	w.event(kindTimer, t.h, netip.AddrPort{}, netip.AddrPort{}, nil, "")
	r := t.h.begin()
	f(r)
	t.h.end(r)
}

// job is one call of Spawn or Serve that a worker does.
type job struct {
	h *Host
	f func(r *host.Round)
}

// Spawn implements [host.Host].
func (h *Host) Spawn(f func(r *host.Round)) bool { return h.leaveWork(&h.own, f) }

// Serve implements [host.Host].
func (h *Host) Serve(f func(r *host.Round)) bool { return h.leaveWork(&h.others, f) }

// leaveWork puts work into a queue, or has a worker begin it.
func (h *Host) leaveWork(queue *[]func(r *host.Round), f func(r *host.Round)) bool {
	switch {
	case h.stopped:
		return false
	case h.working < h.w.cfg.Workers:
		h.work(f)
	case len(*queue) < h.w.cfg.Backlog:
		*queue = append(*queue, f)
	default:
		return false
	}
	return true
}

// work has a worker that is free do f.
func (h *Host) work(f func(r *host.Round)) {
	h.working++
	h.w.events.at(h.w.events.now+int64(h.w.cfg.WorkTime), &job{h: h, f: f})
}

// nextWork has a worker that is free begin what waits. What Spawn was given
// goes first.
func (h *Host) nextWork() {
	queue := &h.own
	if len(h.own) == 0 {
		queue = &h.others
	}
	if len(*queue) == 0 {
		return
	}
	f := (*queue)[0]
	(*queue)[0] = nil
	*queue = (*queue)[1:]
	h.work(f)
}

func (j *job) fire(w *World) {
	if j.h.stopped || j.h.holds(j) {
		return
	}
	j.h.working--
	j.h.nextWork()
	w.event(kindWork, j.h, netip.AddrPort{}, netip.AddrPort{}, nil, "")
	r := j.h.begin()
	j.f(r)
	j.h.end(r)
}

// Close ends the host's program in order, as [host.Portable.Close] does: its
// timers and work are gone, its sockets shut, its streams get their Closed.
// The machine stays on and refuses connections.
func (h *Host) Close() error {
	if h.stopped {
		return nil
	}
	h.stop()
	for len(h.streams) > 0 {
		h.streams[0].abandon()
	}
	return nil
}

// stop shuts the doors; streams are left to the caller.
func (h *Host) stop() {
	h.stopped = true
	for _, l := range h.listeners {
		l.closed = true
	}
	for _, d := range h.sockets {
		d.closed = true
	}
	h.listeners, h.sockets = nil, nil
}

// Kill cuts the power of h. Nothing on it is called any more, and its peers
// are told nothing.
func (w *World) Kill(h *Host) {
	if h.machine.host != h {
		return
	}
	h.machine.on = false
	if h.stopped {
		return
	}
	h.stop()
	for _, s := range h.streams {
		s.die()
	}
	h.streams = nil
}

// Restart turns a killed or closed host on again: an empty machine at the
// same place and addresses. The old Host is of no more use.
func (w *World) Restart(h *Host) *Host {
	w.Kill(h)
	return w.boot(h.machine)
}

// Note puts a line into the log that a failed test prints.
func (h *Host) Note(format string, args ...any) {
	h.w.event(kindNote, h, netip.AddrPort{}, netip.AddrPort{}, nil, fmt.Sprintf(format, args...))
}

// Logger writes to the log that a failed test prints, from level on.
func (h *Host) Logger(level slog.Level) *slog.Logger {
	return slog.New(&logHandler{h: h, level: level})
}

type logHandler struct {
	h     *Host
	level slog.Level
	attrs []slog.Attr
	group string
}

func (l *logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }

func (l *logHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", r.Level, r.Message)
	for _, a := range l.attrs {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
	}
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s%s=%v", l.group, a.Key, a.Value)
		return true
	})
	l.h.Note("%s", b.String())
	return nil
}

func (l *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *l
	c.attrs = append([]slog.Attr(nil), l.attrs...)
	for _, a := range attrs {
		c.attrs = append(c.attrs, slog.Attr{Key: l.group + a.Key, Value: a.Value})
	}
	return &c
}

func (l *logHandler) WithGroup(name string) slog.Handler {
	c := *l
	c.group = l.group + name + "."
	return &c
}
