package sim_test

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/destination"
	"allium/internal/host"
	"allium/internal/netdb/floodfill"
	"allium/internal/router"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/store"
	"allium/internal/streaming"
	"allium/internal/tunnel/pool"
)

// routerNet is a private network of whole routers in a simulated world.
type routerNet struct {
	w     *sim.World
	nodes []*node
}

// node is one router and its machine.
type node struct {
	net    *routerNet
	host   *sim.Host
	router *router.Router
	alive  bool
}

// tunnelsOf is the configuration of tunnels with so many hops.
func tunnelsOf(hops, quantity int) pool.Config {
	d := pool.Direction{Length: hops, Quantity: quantity}
	return pool.Config{Inbound: d, Outbound: d}
}

// newRouterNet starts routers that know each other, the first few floodfills.
func newRouterNet(t testing.TB, w *sim.World, routers, floodfills int) *routerNet {
	t.Helper()
	n := &routerNet{w: w}
	for i := range routers {
		h := w.Host(fmt.Sprintf("10.%d.%d.1", i/250, 1+i%250))
		var cfg router.Config
		setting.Defaults(&cfg.Transit)
		setting.Defaults(&cfg.Transport.NTCP2)
		cfg.NetID = 77
		cfg.Private = true
		cfg.Floodfill = floodfill.Off
		if i < floodfills {
			cfg.Floodfill = floodfill.On
		}
		cfg.Share = 10e6
		cfg.Transport.Publish = true
		cfg.Transport.MaxSessions = 1000
		cfg.Transport.Listen = []netip.AddrPort{netip.AddrPortFrom(h.Addr(), 12345)}
		cfg.Exploratory = tunnelsOf(2, 2)
		rt, err := router.New(cfg, h, store.Memory(), h.Logger(0), nil)
		if err != nil {
			t.Fatal(err)
		}
		n.nodes = append(n.nodes, &node{net: n, host: h, router: rt, alive: true})
	}
	for i, nd := range n.nodes {
		nd.router.NetDB().Import(w.Now(), func(yield func(string, []byte) bool) {
			for j, other := range n.nodes {
				if i != j && !yield("router.info", other.router.RouterInfo(w.Now()).Bytes()) {
					return
				}
			}
		})
	}
	return n
}

// kill ends a router without a word.
func (n *routerNet) kill(nd *node) {
	nd.alive = false
	n.w.Kill(nd.host)
}

// endpoint is a Destination with streams on a node.
type endpoint struct {
	node    *node
	dest    *destination.Destination
	streams *streaming.Streams
	ready   bool
}

// Message implements destination.Handler.
func (e *endpoint) Message(r *host.Round, from destination.Sender, m destination.Message) {
	if m.Protocol == destination.ProtocolStreaming {
		_ = e.streams.Receive(r, streaming.Sender(from), m.FromPort, m.ToPort, m.Payload)
	}
}

// Ready implements destination.Handler.
func (e *endpoint) Ready(_ *host.Round, ready bool) { e.ready = ready }

func (nd *node) open(t testing.TB, name string, hops int) *endpoint {
	t.Helper()
	keys, err := data.GeneratePrivateKeys(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{node: nd}
	var cfg streaming.Config
	setting.Defaults(&cfg)
	e.streams = streaming.New(cfg, nd.host, streaming.Local{Destination: keys.Destination, Key: keys.Signing},
		func(r *host.Round, to data.Hash, fromPort, toPort uint16, payload []byte) error {
			return e.dest.Send(r, to, destination.Message{
				Protocol: destination.ProtocolStreaming, FromPort: fromPort, ToPort: toPort, Payload: payload,
			})
		})
	nd.host.Do(func(r *host.Round) {
		e.dest = destination.Open(r, nd.router, destination.Config{Name: name, Tunnels: tunnelsOf(hops, 3)}, keys, e, nd.host.Logger(0))
	})
	return e
}

// page is what sites answer with.
var page = bytes.Repeat([]byte("a page of some twenty kilobytes\n"), 640)

// serve answers each stream to port 80 with the page.
func (e *endpoint) serve(t testing.TB) {
	t.Helper()
	_, err := e.streams.Accept(80, func(_ *host.Round, s *streaming.Stream) func(r *host.Round) {
		var request []byte
		left := page
		return func(r *host.Round) {
			buf := make([]byte, 512)
			for {
				n, err := s.Read(r, buf)
				request = append(request, buf[:n]...)
				if n == 0 || err != nil {
					break
				}
			}
			if !bytes.HasSuffix(request, []byte("\n")) {
				return
			}
			for len(left) > 0 {
				n, err := s.Write(r, left)
				if n == 0 || err != nil {
					return
				}
				left = left[n:]
			}
			s.Close(r)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fetch is one attempt to get the page.
type fetch struct {
	got  []byte
	err  error
	done bool
}

// fetch asks for the page at to.
func (e *endpoint) fetch(to data.Hash) *fetch {
	f := new(fetch)
	e.node.host.Do(func(r *host.Round) {
		e.dest.Resolve(r, to, func(r *host.Round, err error) {
			if err != nil {
				f.err, f.done = err, true
				return
			}
			f.begin(r, e, to)
		})
	})
	return f
}

func (f *fetch) begin(r *host.Round, e *endpoint, to data.Hash) {
	var s *streaming.Stream
	asked := false
	s, err := e.streams.Open(r, to, 80, func(r *host.Round) {
		if f.done || s == nil {
			return
		}
		if !asked {
			n, _ := s.Write(r, []byte("GET\n"))
			asked = n > 0
		}
		buf := make([]byte, 4096)
		for {
			n, err := s.Read(r, buf)
			f.got = append(f.got, buf[:n]...)
			switch {
			case err == io.EOF:
				f.done = true
				s.Close(r)
				return
			case err != nil:
				f.err, f.done = err, true
				return
			case n == 0:
				return
			}
		}
	})
	if err != nil {
		f.err, f.done = err, true
	}
}

// browse has a visitor fetch pages, one after another, until end: each is
// tried again until it comes, for two minutes at most. It counts.
type browse struct {
	fetched, retried int
}

func (b *browse) run(t testing.TB, w *sim.World, visitor *endpoint, sites []*endpoint, end time.Time) {
	t.Helper()
	for i := 0; w.Now().Before(end); i++ {
		site := sites[i%len(sites)]
		giveUp := w.Now().Add(2 * time.Minute)
		for {
			f := visitor.fetch(site.dest.Hash())
			w.RunUntil(func() bool { return f.done }, 30*time.Second)
			if f.done && f.err == nil && bytes.Equal(f.got, page) {
				b.fetched++
				break
			}
			b.retried++
			if !w.Now().Before(giveUp) {
				t.Fatalf("at %v: page %d never came: %v, %d bytes", w.Now(), i, f.err, len(f.got))
			}
			f.done = true
			w.Run(2 * time.Second)
		}
		w.Run(5 * time.Second)
	}
}

func TestAPageCrossesASmallNetwork(t *testing.T) {
	sim.Twice(t, 1, sim.Config{}, func(w *sim.World) {
		n := newRouterNet(t, w, 8, 3)
		site, visitor := n.nodes[0].open(t, "site", 2), n.nodes[7].open(t, "visitor", 2)
		site.serve(t)
		if !w.RunUntil(func() bool { return site.ready && visitor.ready }, 2*time.Minute) {
			t.Fatal("not ready after two minutes")
		}
		var b browse
		b.run(t, w, visitor, []*endpoint{site}, w.Now().Add(30*time.Second))
		t.Logf("at %v: %d pages, %d retries, %d events", w.Now().Sub(sim.Start), b.fetched, b.retried, w.Events())
	})
}

func TestFiftyRoutersServePagesWhileSomeDie(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	sim.Twice(t, 7, sim.Config{Link: sim.Link{Loss: 0.02}}, func(w *sim.World) {
		n := newRouterNet(t, w, 50, 8)
		sites := []*endpoint{n.nodes[10].open(t, "one", 3), n.nodes[20].open(t, "two", 3)}
		visitor := n.nodes[30].open(t, "visitor", 3)
		for _, s := range sites {
			s.serve(t)
		}
		ready := func() bool { return sites[0].ready && sites[1].ready && visitor.ready }
		if !w.RunUntil(ready, 3*time.Minute) {
			t.Fatal("not ready after three minutes")
		}
		t.Logf("ready after %v", w.Now().Sub(sim.Start))
		var b browse
		b.run(t, w, visitor, sites, sim.Start.Add(4*time.Minute))
		for i := range 5 { // one in ten, a floodfill among them
			n.kill(n.nodes[3+11*i])
		}
		b.run(t, w, visitor, sites, sim.Start.Add(15*time.Minute))
		t.Logf("%d pages, %d retries, %d events", b.fetched, b.retried, w.Events())
		if b.fetched < 60 {
			t.Errorf("only %d pages", b.fetched)
		}
	})
}
