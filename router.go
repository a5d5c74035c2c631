package allium

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/naming"
	"allium/internal/netdb"
	"allium/internal/nettime"
	"allium/internal/portmap"
	"allium/internal/random"
	"allium/internal/reseed"
	"allium/internal/router"
	"allium/internal/store"
)

const (
	// storeFile is the router's store within its directory.
	storeFile = "allium.db"
	// routerInfoFile is the router's RouterInfo, for others to import.
	routerInfoFile = "router.info"
	// readyPoll is how often Ready looks.
	readyPoll = 50 * time.Millisecond
)

// Router is a running router.
type Router struct {
	cfg   Config
	log   *slog.Logger
	host  *host.Portable
	store store.Store
	rt    *router.Router
	book  *naming.Book
	clock *nettime.Clock
	ports *portmap.Mapper // nil if no gateway is asked
	// reseeder looks after what the router knows of others, of whom it knew
	// kept at the start.
	reseeder *reseed.Reseeder
	kept     int

	background context.Context // ends with Close
	stop       context.CancelFunc
	writing    sync.WaitGroup
	tasks      sync.WaitGroup // what else goes on until then

	mu        sync.Mutex
	closed    bool
	sessions  map[*Session]struct{}
	joining   Joining          // as it was logged last
	writes    bool             // writeRouterInfo runs
	unwritten *data.RouterInfo // what it is to write next
}

// Start starts a router. It returns as soon as the router listens; Ready
// waits until it has tunnels. It fails when the directory is in use or cannot
// be read, or an address cannot be listened on.
func Start(ctx context.Context, cfg Config) (*Router, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if reflect.ValueOf(cfg.Settings).IsZero() {
		cfg.Settings = DefaultSettings()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Router{cfg: cfg, log: cfg.Log, sessions: make(map[*Session]struct{})}
	r.background, r.stop = context.WithCancel(context.Background())
	if err := r.start(); err != nil {
		r.stop()
		if r.host != nil {
			_ = r.host.Close()
		}
		if r.store != nil {
			_ = r.store.Close()
		}
		return nil, fmt.Errorf("allium: %w", err)
	}
	return r, nil
}

// start makes the parts.
func (r *Router) start() (err error) {
	if r.store, err = openStore(r.cfg.Dir); err != nil {
		return err
	}
	if err := belongs(r.store, r.cfg.Settings.Network, true); err != nil {
		return err
	}
	names, err := r.store.Bucket("names")
	if err != nil {
		return err
	}
	if r.book, err = naming.New(names); err != nil {
		return err
	}
	if len(r.cfg.Settings.Listen) == 0 {
		port, err := chosenPort(r.store)
		if err != nil {
			return err
		}
		r.cfg.Settings.Listen = []netip.AddrPort{
			netip.AddrPortFrom(netip.IPv4Unspecified(), port),
			netip.AddrPortFrom(netip.IPv6Unspecified(), port),
		}
	}
	bound, err := host.ParseBinding(r.cfg.Settings.Bind)
	if err != nil {
		return err
	}
	r.host = host.New(host.Config{Binding: bound, Log: r.log})
	if r.reseeder, err = r.newReseeder(); err != nil {
		return err
	}
	r.rt, err = router.New(r.cfg.Settings.router(), r.host, r.store, r.log, r.changed)
	if err != nil {
		return err
	}
	r.changed(nil, r.rt.RouterInfo(r.host.Now()))
	if err := r.mapPort(); err != nil {
		return err
	}
	r.keepTime()
	r.watch(r.host.Addrs())
	r.kept = r.rt.NetDB().Len()
	r.tasks.Go(r.findRouters)
	r.tasks.Go(r.watchJoining)
	return nil
}

func openStore(dir string) (store.Store, error) {
	if dir == "" {
		return store.Memory(), nil
	}
	return store.Open(filepath.Join(dir, storeFile))
}

// belongs checks that a store is of the network, and with mark notes it in a
// new one.
func belongs(s store.Store, network uint8, mark bool) error {
	b, err := s.Bucket("settings")
	if err != nil {
		return err
	}
	key, ours := []byte("network"), strconv.Itoa(int(network))
	value, found, err := b.Get(key)
	switch {
	case err != nil:
		return err
	case found && string(value) != ours:
		return fmt.Errorf("%w: %s, not %s", ErrNetwork, value, ours)
	case !found && mark:
		return b.Put(key, []byte(ours))
	}
	return nil
}

// chosenPort is the port of a router that was told none: drawn once and kept,
// as peers remember it.
func chosenPort(s store.Store) (uint16, error) {
	const first, last = 9151, 30777 // what Java and i2pd draw from
	b, err := s.Bucket("settings")
	if err != nil {
		return 0, err
	}
	key := []byte("port")
	value, found, err := b.Get(key)
	if err != nil {
		return 0, err
	}
	if found {
		port, err := strconv.ParseUint(string(value), 10, 16)
		return uint16(port), err
	}
	port := uint16(0)
	for !data.PublishablePort(port) {
		port = uint16(first + random.IntN(last-first+1))
	}
	return port, b.Put(key, strconv.AppendUint(nil, uint64(port), 10))
}

// changed has our RouterInfo written for others to import. A later one waits
// for the one being written, and goes before any other that waits.
func (r *Router) changed(_ *host.Round, ri *data.RouterInfo) {
	if r.cfg.Dir == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	busy := r.unwritten != nil || r.writes
	r.unwritten = ri
	if busy || r.closed {
		return
	}
	r.writes = true
	r.writing.Go(r.writeRouterInfo)
}

// writeRouterInfo writes until there is nothing newer.
func (r *Router) writeRouterInfo() {
	for {
		r.mu.Lock()
		ri := r.unwritten
		r.unwritten = nil
		r.writes = ri != nil
		r.mu.Unlock()
		if ri == nil {
			return
		}
		if err := store.WriteFile(filepath.Join(r.cfg.Dir, routerInfoFile), ri.Bytes()); err != nil {
			r.log.Warn("RouterInfo not written", "err", err)
		}
	}
}

// Close takes the router down with all its sessions, within two seconds.
func (r *Router) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	open := make([]*Session, 0, len(r.sessions))
	for s := range r.sessions {
		open = append(open, s)
	}
	r.mu.Unlock()
	r.stop()
	for _, s := range open {
		_ = s.Close()
	}
	if r.ports != nil {
		r.writing.Go(r.ports.Close) // takes a while
	}
	r.tasks.Wait()
	r.clock.Close()
	r.rt.Close()
	r.writing.Wait()
	return errors.Join(r.host.Close(), r.store.Close())
}

// Ready waits until the router has tunnels of its own both ways.
func (r *Router) Ready(ctx context.Context) error {
	return r.await(ctx, func() bool { return r.rt.Status(r.host.Now()).Ready })
}

// await looks again and again until the condition holds.
func (r *Router) await(ctx context.Context, holds func() bool) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReady, ctx.Err())
		case <-r.background.Done():
			return ErrClosed
		}
	}
	return nil
}

// RouterInfo is the router's own RouterInfo, which other routers need to know
// to connect to it.
func (r *Router) RouterInfo() []byte { return r.rt.RouterInfo(r.host.Now()).Bytes() }

// Hash is the router's name, 44 letters.
func (r *Router) Hash() string { return r.rt.Hash().String() }

// ListenAddrs are the addresses other routers can connect to.
func (r *Router) ListenAddrs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, a := range r.rt.RouterInfo(r.host.Now()).Addresses() {
		if at, ok := a.AddrPort(); ok {
			all = append(all, at)
		}
	}
	return all
}

// Imported tells what became of files of RouterInfos.
type Imported = netdb.Imported

// Import makes the router know others by their RouterInfos, given with their
// file names.
func (r *Router) Import(files iter.Seq2[string, []byte]) Imported {
	return r.rt.NetDB().Import(r.host.Now(), files)
}
