package transport_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/transport"
	"allium/internal/transport/ntcp2"
	"allium/internal/x25519"
)

const netID = 99

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// config is the default one for a private network.
func config() transport.Config {
	var c transport.Config
	setting.Defaults(&c)
	c.AllowPrivate = true
	return c
}

// known is all RouterInfos there are.
type known struct {
	mu  sync.Mutex
	all map[data.Hash]*data.RouterInfo
}

func newKnown() *known { return &known{all: make(map[data.Hash]*data.RouterInfo)} }

func (k *known) RouterInfo(h data.Hash) *data.RouterInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[h]
}

func (k *known) put(ri *data.RouterInfo) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[ri.Hash()] = ri
}

// keys are what a router keeps over a restart.
type keys struct {
	tb       testing.TB
	signing  signature.PrivateKey
	identity *data.RouterIdentity
	local    ntcp2.Local
}

func newKeys(tb testing.TB) *keys {
	tb.Helper()
	signing, err := signature.Generate(signature.Ed25519)
	must(tb, err)
	identity, err := data.NewRouterIdentity(signing, x25519.Generate().Public)
	must(tb, err)
	k := &keys{tb: tb, signing: signing, identity: identity}
	k.local = ntcp2.Local{Hash: identity.Hash(), Static: x25519.Generate(), NetID: netID}
	random.Fill(k.local.IV[:])
	return k
}

// info signs a RouterInfo with these addresses.
func (k *keys) info(now time.Time, addresses ...data.RouterAddress) *data.RouterInfo {
	k.tb.Helper()
	options, err := data.NewMapping(
		data.Pair{Key: "netId", Value: strconv.Itoa(netID)},
		data.Pair{Key: "router.version", Value: data.RouterVersion},
		data.Pair{Key: "caps", Value: "XR"})
	must(k.tb, err)
	ri, err := data.SignRouterInfo(k.signing, k.identity, now, addresses, options)
	must(k.tb, err)
	return ri
}

// at is an address of the router that is dialled the sooner the less it costs.
func (k *keys) at(cost uint8, to netip.AddrPort) data.RouterAddress {
	k.tb.Helper()
	a, err := data.NewRouterAddress(cost, data.StyleNTCP2,
		data.Pair{Key: "host", Value: to.Addr().String()},
		data.Pair{Key: "port", Value: strconv.Itoa(int(to.Port()))},
		data.Pair{Key: "i", Value: data.EncodeBase64(k.local.IV[:])},
		data.Pair{Key: "s", Value: data.EncodeBase64(k.local.Static.Public[:])},
		data.Pair{Key: "v", Value: "2"})
	must(k.tb, err)
	return a
}

// received is a message that came.
type received struct {
	from data.Hash
	id   uint32
}

// node is a router that is nothing but a transport.
type node struct {
	*keys
	hash  data.Hash
	h     host.Host
	tr    *transport.Transport
	known *known
	spent *bandwidth.Limiter

	classOf   func(m i2np.Message) bandwidth.Class // our own if nil
	onMessage func(r *host.Round, from data.Hash, m i2np.Message)

	mu          sync.Mutex
	own         *data.RouterInfo
	got         []received
	connected   []data.Hash
	failed      []error
	outages     []time.Time
	readdressed int
	infos       int
	banned      data.Hash
}

// newNode starts a router, new or again, and makes it known.
func newNode(tb testing.TB, h host.Host, k *keys, db *known, cfg transport.Config) *node {
	tb.Helper()
	return newLimited(tb, h, k, db, cfg, bandwidth.Limits{})
}

// newLimited is newNode with limits of bandwidth.
func newLimited(tb testing.TB, h host.Host, k *keys, db *known, cfg transport.Config, limits bandwidth.Limits) *node {
	tb.Helper()
	n := &node{keys: k, hash: k.local.Hash, h: h, known: db, spent: bandwidth.NewLimiter(h.Now(), limits)}
	local := k.local
	local.RouterInfo = n.info
	var err error
	n.tr, err = transport.New(cfg, h, local, db, n.spent, n)
	must(tb, err)
	n.publish()
	return n
}

// publish signs a RouterInfo and makes it known.
func (n *node) publish() {
	ri := n.keys.info(n.h.Now(), n.tr.Addresses()...)
	n.mu.Lock()
	n.own = ri
	n.mu.Unlock()
	n.known.put(ri)
}

// info is our RouterInfo, nil before the first publish.
func (n *node) info(now time.Time) *data.RouterInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.own != nil && now.Sub(n.own.Published()) > time.Hour {
		n.own = n.keys.info(now, n.own.Addresses()...)
	}
	return n.own
}

// simNode starts a router on a host of the world, listening on its first
// address.
func simNode(tb testing.TB, w *sim.World, db *known, addr string, change func(*transport.Config)) *node {
	tb.Helper()
	h := w.Host(addr)
	cfg := config()
	cfg.Listen = []netip.AddrPort{netip.AddrPortFrom(h.Addr(), 12345)}
	if change != nil {
		change(&cfg)
	}
	return newNode(tb, h, newKeys(tb), db, cfg)
}

// simNodes starts so many.
func simNodes(tb testing.TB, w *sim.World, count int) []*node {
	tb.Helper()
	db := newKnown()
	all := make([]*node, count)
	for i := range all {
		all[i] = simNode(tb, w, db, "10.0.0."+strconv.Itoa(i+1), nil)
	}
	return all
}

// body is the body of the test message with that ID.
func body(id uint32, size int) []byte {
	b := make([]byte, max(size, 4))
	for i := range b {
		b[i] = byte(int(id)*7 + i)
	}
	binary.BigEndian.PutUint32(b, id)
	return b
}

func message(now time.Time, id uint32, size int) i2np.Message {
	return i2np.Message{Type: i2np.TypeTunnelData, ID: id, Expiration: now.Add(time.Minute), Body: body(id, size)}
}

// send sends one message of a kilobyte in a round of its own.
func (n *node) send(to data.Hash, id uint32) error { return n.sendAs(to, id, 1028, bandwidth.Own) }

func (n *node) sendAs(to data.Hash, id uint32, size int, c bandwidth.Class) (err error) {
	n.h.Do(func(r *host.Round) { err = n.tr.Send(r, to, message(r.Now, id, size), c) })
	return err
}

func (n *node) connect(to data.Hash) (err error) {
	n.h.Do(func(r *host.Round) { err = n.tr.Connect(r, to) })
	return err
}

func (n *node) close() { n.h.Do(n.tr.Close) }

func (n *node) Message(r *host.Round, from data.Hash, m i2np.Message) bandwidth.Class {
	class := bandwidth.Own
	if n.classOf != nil {
		class = n.classOf(m)
	}
	if n.onMessage != nil {
		n.onMessage(r, from, m)
		return class
	}
	if !bytes.Equal(m.Body, body(m.ID, len(m.Body))) {
		n.tb.Errorf("message %d is damaged", m.ID)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, received{from, m.ID})
	return class
}

func (n *node) RouterInfo(_ *host.Round, ri *data.RouterInfo, _ bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.infos++
	if ri.Hash() == n.hash {
		n.tb.Error("got our own RouterInfo")
	}
}

func (n *node) Connected(_ *host.Round, peer data.Hash) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.connected = append(n.connected, peer)
}

func (n *node) Failed(_ *host.Round, _ data.Hash, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = append(n.failed, err)
}

func (n *node) Readdressed(*host.Round) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.readdressed++
}

func (n *node) Online(_ *host.Round, since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outages = append(n.outages, since)
}

func (n *node) Banned(_ time.Time, peer data.Hash) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return peer == n.banned && !peer.IsZero()
}

func (n *node) ban(peer data.Hash) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.banned = peer
}

// ids are those of the messages that came, in their order.
func (n *node) ids() []uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := make([]uint32, len(n.got))
	for i, g := range n.got {
		ids[i] = g.id
	}
	return ids
}

// failures are the causes Failed has told.
func (n *node) failures() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.failed)
}

// until waits for something.
func until(tb testing.TB, w *sim.World, what string, cond func() bool) {
	tb.Helper()
	if !w.RunUntil(cond, 10*time.Minute) {
		tb.Fatalf("waited in vain for %s", what)
	}
}

// join connects one node with another and waits for it.
func join(tb testing.TB, w *sim.World, from, to *node) {
	tb.Helper()
	must(tb, from.connect(to.hash))
	until(tb, w, "a session", func() bool { return from.tr.Connected(to.hash) && to.tr.Connected(from.hash) })
}
