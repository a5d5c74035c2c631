package host

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Config adjusts a Portable. The zero value of each field is its default.
type Config struct {
	// Workers is how many goroutines do the work of Spawn and Serve
	// (GOMAXPROCS).
	Workers int
	// Backlog is how many calls of Spawn may wait for a worker, and how many
	// of Serve (256).
	Backlog int
	// ConnectTimeout bounds DialTCP (10 s).
	ConnectTimeout time.Duration
	// Binding is what all sockets keep to (nothing).
	Binding Binding
	// Log gets the panics of handlers and the troubles of sockets (nowhere).
	Log *slog.Logger
}

const (
	defaultBacklog        = 256
	defaultConnectTimeout = 10 * time.Second

	// closeTimeout bounds Portable.Close.
	closeTimeout = 2 * time.Second

	// readSize is the most one read takes, and so the most a Data call
	// lends: a whole NTCP2 frame fits.
	readSize = 64 << 10

	// endAttempts bounds how often the end of one round may panic before the
	// rest of it is dropped.
	endAttempts = 16
)

// Portable is the engine that runs anywhere: the operating system's clock, a
// goroutine for each connection and socket, and every read a round.
type Portable struct {
	cfg    Config
	log    *slog.Logger
	offset atomic.Int64 // network time less the system's, nanoseconds
	panics atomic.Uint64
	frames sync.Pool           // of *frame
	chunks sync.Pool           // of *chunk
	own    chan func(r *Round) // waits for a worker, of Spawn
	others chan func(r *Round) // and of Serve
	quit   chan struct{}       // closed by Close

	// plain keeps sockets from direct system calls, as on systems where
	// there are none. Only tests set it.
	plain bool

	mu      sync.Mutex
	closed  bool
	live    int           // goroutines that Close waits for
	idle    chan struct{} // closed when live falls to zero after Close
	timers  map[*timer]struct{}
	sockets map[socket]struct{}
}

// socket is what Close shuts.
type socket interface{ shut() }

// frame is a Round with the buffer its bytes are read into.
type frame struct {
	Round
	buf [readSize]byte
}

// New starts an engine. Close ends it.
func New(cfg Config) *Portable {
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Backlog <= 0 {
		cfg.Backlog = defaultBacklog
	}
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = defaultConnectTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Portable{
		cfg:     cfg,
		log:     cfg.Log,
		own:     make(chan func(r *Round), cfg.Backlog),
		others:  make(chan func(r *Round), cfg.Backlog),
		quit:    make(chan struct{}),
		idle:    make(chan struct{}),
		timers:  make(map[*timer]struct{}),
		sockets: make(map[socket]struct{}),
	}
	p.frames.New = func() any { return new(frame) }
	p.chunks.New = func() any { return new(chunk) }
	p.live = cfg.Workers
	for range cfg.Workers {
		go p.worker()
	}
	if cfg.Binding.Bound() {
		p.rebind(cfg.Binding.devices())
	}
	return p
}

// Panics is how many calls of handlers have panicked so far.
func (p *Portable) Panics() uint64 { return p.panics.Load() }

// Close stops timers and workers, drops work that waits, shuts listeners and
// sockets without sending what is queued, and gives each stream its Closed.
// It waits for every goroutine of the engine, for two seconds at most, and
// reports when some handler has not returned by then. Nothing is called after
// it has returned nil. It must not be called inside a round.
func (p *Portable) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	for t := range p.timers {
		t.t.Stop()
	}
	clear(p.timers)
	var open []socket
	for s := range p.sockets {
		open = append(open, s)
	}
	if first {
		close(p.quit)
		if p.live == 0 {
			close(p.idle)
		}
	}
	p.mu.Unlock()

	for _, s := range open {
		s.shut()
	}
	limit := time.NewTimer(closeTimeout)
	defer limit.Stop()
	select {
	case <-p.idle:
		return nil
	case <-limit.C:
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Errorf("host: %d handlers still busy: %w", p.live, ErrTimeout)
	}
}

// enter counts one more goroutine, unless the engine is closed.
func (p *Portable) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.live++
	return true
}

// leave takes back one enter.
func (p *Portable) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live--
	if p.closed && p.live == 0 {
		close(p.idle)
	}
}

// add has Close shut s, and counts the goroutine that serves it.
func (p *Portable) add(s socket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.sockets[s] = struct{}{}
	p.live++
	return true
}

// remove takes back add.
func (p *Portable) remove(s socket) {
	p.mu.Lock()
	delete(p.sockets, s)
	p.mu.Unlock()
	p.leave()
}

// Do implements [Host]. A panic of f ends the round and goes on to the
// caller.
func (p *Portable) Do(f func(r *Round)) {
	fr := p.frames.Get().(*frame)
	defer p.end(fr)
	fr.Begin(p.Now())
	f(&fr.Round)
}

// run calls f in a round of its own and contains its panics.
func (p *Portable) run(f func(r *Round)) {
	p.round(p.frames.Get().(*frame), f)
}

// round is one round in fr, which it gives back. It reports false when
// something panicked.
func (p *Portable) round(fr *frame, f func(r *Round)) bool {
	fr.Begin(p.Now())
	ok := p.try(f, &fr.Round)
	return p.end(fr) && ok
}

// end ends the round and gives the frame back. It reports false when that
// panicked; then the batches of the round are of no more use.
func (p *Portable) end(fr *frame) bool {
	if p.try((*Round).End, &fr.Round) {
		p.frames.Put(fr)
		return true
	}
	for range endAttempts {
		if p.try((*Round).End, &fr.Round) {
			break
		}
	}
	return false
}

// try calls f and contains its panics: they are counted and logged, and the
// process lives. It reports whether f returned.
func (p *Portable) try(f func(r *Round), r *Round) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			p.panics.Add(1)
			p.log.Error("host: handler panicked", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f(r)
	return true
}
