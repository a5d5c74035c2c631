//go:build interop

package interop

import (
	"bytes"
	"fmt"
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
	"allium/internal/transport"
	"allium/internal/transport/ntcp2"
	"allium/internal/x25519"
)

// answerLimit is how long i2pd may take to answer a single message.
const answerLimit = 10 * time.Second

// probe is Allium's transport with a RouterInfo and nothing above it: it sends
// single messages and sees what comes back.
type probe struct {
	host      *host.Portable
	transport *transport.Transport
	info      *data.RouterInfo

	mu       sync.Mutex
	received []i2np.Message
	failed   error
	inbound  map[data.Hash]bool // who has dialled it
}

var _ transport.Handler = (*probe)(nil)

// acquaintances are the RouterInfos a probe has.
type acquaintances map[data.Hash]*data.RouterInfo

// RouterInfo implements transport.RouterInfos.
func (a acquaintances) RouterInfo(h data.Hash) *data.RouterInfo { return a[h] }

// newProbe makes a router that listens on addr and knows some others.
func newProbe(t *testing.T, addr netip.AddrPort, known ...*data.RouterInfo) *probe {
	t.Helper()
	p := &probe{host: host.New(host.Config{}), inbound: make(map[data.Hash]bool)}
	knows := make(acquaintances)
	for _, ri := range known {
		knows[ri.Hash()] = ri
	}
	keys, err := data.GenerateRouterKeys()
	if err != nil {
		t.Fatal(err)
	}
	local := ntcp2.Local{Hash: keys.Identity.Hash(), Static: x25519.Generate(), NetID: network}
	random.Fill(local.IV[:])
	local.RouterInfo = func(time.Time) *data.RouterInfo { return p.info }
	var cfg transport.Config
	setting.Defaults(&cfg)
	cfg.Listen, cfg.AllowPrivate = []netip.AddrPort{addr}, true
	limiter := bandwidth.NewLimiter(p.host.Now(), bandwidth.Limits{})
	if p.transport, err = transport.New(cfg, p.host, local, knows, limiter, p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.host.Do(p.transport.Close)
		if err := p.host.Close(); err != nil || p.host.Panics() > 0 {
			t.Errorf("probe: %v, %d panics", err, p.host.Panics())
		}
	})
	options, err := data.NewMapping(
		data.Pair{Key: data.OptionNetID, Value: strconv.Itoa(network)},
		data.Pair{Key: data.OptionVersion, Value: data.RouterVersion},
		data.Pair{Key: data.OptionCaps, Value: "LR"})
	if err != nil {
		t.Fatal(err)
	}
	p.info, err = data.SignRouterInfo(keys.Signing, keys.Identity, p.host.Now(), p.transport.Addresses(), options)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// send sends a message to a router.
func (p *probe) send(t *testing.T, to data.Hash, kind i2np.Type, body []byte) {
	t.Helper()
	p.host.Do(func(r *host.Round) {
		m := i2np.Message{Type: kind, ID: random.Nonzero32(), Expiration: r.Now.Add(answerLimit), Body: body}
		if err := p.transport.Send(r, to, m, bandwidth.Own); err != nil {
			t.Errorf("probe: %v", err)
		}
	})
}

// await waits for a message that is what the test wants, and forgets all that
// came.
func (p *probe) await(t *testing.T, what string, wanted func(m i2np.Message) bool) {
	t.Helper()
	eventually(t, what, answerLimit, func() (bool, string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.failed != nil {
			return false, p.failed.Error()
		}
		if slices.ContainsFunc(p.received, wanted) {
			p.received = nil
			return true, "done"
		}
		var kinds []i2np.Type
		for _, m := range p.received {
			kinds = append(kinds, m.Type)
		}
		return false, fmt.Sprintf("there came %v", kinds)
	})
}

// forget forgets what came.
func (p *probe) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received = nil
}

// insist asks a floodfill for a RouterInfo, again and again until it comes: what
// is on its way through a session when another takes its place may be lost.
func (p *probe) insist(t *testing.T, to, key data.Hash) {
	t.Helper()
	var asked time.Time
	eventually(t, to.Short()+" answers", answerLimit, func() (bool, string) {
		if time.Since(asked) > 2*time.Second {
			asked = time.Now()
			p.look(t, to, key, p.info.Hash(), i2np.LookupRouterInfo)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.received, func(m i2np.Message) bool { return found(m, key) != nil }), "asked"
	})
}

// store asks a floodfill to keep a RouterInfo, and waits for its word.
func (p *probe) store(t *testing.T, to data.Hash, ri *data.RouterInfo) {
	t.Helper()
	compressed, err := new(i2np.Deflater).DeflateRouterInfo(nil, ri.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	p.storeEntry(t, to, i2np.DatabaseStore{Key: ri.Hash(), Type: i2np.StoreRouterInfo, Data: compressed})
}

// storeLeaseSet does the same with a LeaseSet.
func (p *probe) storeLeaseSet(t *testing.T, to data.Hash, ls *data.LeaseSet2) {
	t.Helper()
	p.storeEntry(t, to, i2np.DatabaseStore{Key: ls.Key(), Type: i2np.StoreType(ls.Type()), Data: ls.Bytes()})
}

func (p *probe) storeEntry(t *testing.T, to data.Hash, m i2np.DatabaseStore) {
	t.Helper()
	token := random.Nonzero32()
	m.ReplyToken, m.ReplyGateway = token, p.info.Hash()
	p.send(t, to, i2np.TypeDatabaseStore, m.Append(nil))
	p.await(t, to.Short()+" keeps an entry", func(m i2np.Message) bool {
		s, err := i2np.ParseDeliveryStatus(m.Body)
		return m.Type == i2np.TypeDeliveryStatus && err == nil && s.ID == token
	})
}

// look asks a floodfill for an entry, and to send it to from.
func (p *probe) look(t *testing.T, to, key, from data.Hash, kind i2np.LookupKind) {
	t.Helper()
	m := i2np.DatabaseLookup{Key: key, From: from, Kind: kind}
	p.send(t, to, i2np.TypeDatabaseLookup, m.Append(nil))
}

// found gives the RouterInfo in a DatabaseStore, if it is that of key.
func found(m i2np.Message, key data.Hash) *data.RouterInfo {
	s, err := i2np.ParseDatabaseStore(m.Body)
	if m.Type != i2np.TypeDatabaseStore || err != nil || s.Key != key || s.Type.LeaseSet() {
		return nil
	}
	b, err := new(i2np.Inflater).InflateRouterInfo(nil, s.Data)
	if err != nil {
		return nil
	}
	ri, err := data.ParseRouterInfo(b)
	if err != nil || ri.Hash() != key || ri.Verify() != nil {
		return nil
	}
	return ri
}

// ask asks a floodfill for a LeaseSet and tells whether it has this one. It
// waits for the answer, which is an entry or the names of others.
func (p *probe) ask(t *testing.T, to data.Hash, ls *data.LeaseSet2) (has bool) {
	t.Helper()
	p.look(t, to, ls.Key(), p.info.Hash(), i2np.LookupLeaseSet)
	p.await(t, to.Short()+" answers", func(m i2np.Message) bool {
		if s, err := i2np.ParseDatabaseStore(m.Body); m.Type == i2np.TypeDatabaseStore && err == nil && s.Key == ls.Key() {
			has = bytes.Equal(s.Data, ls.Bytes())
			return true
		}
		s, err := i2np.ParseDatabaseSearchReply(m.Body)
		return m.Type == i2np.TypeDatabaseSearchReply && err == nil && s.Key == ls.Key()
	})
	return has
}

// Message implements transport.Handler.
func (p *probe) Message(_ *host.Round, _ data.Hash, m i2np.Message) bandwidth.Class {
	m.Body = slices.Clone(m.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received = append(p.received, m)
	return bandwidth.Own
}

// Failed implements transport.Handler.
func (p *probe) Failed(_ *host.Round, _ data.Hash, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = err
}

// RouterInfo implements transport.Handler: a session that was accepted begins
// with that of the peer.
func (p *probe) RouterInfo(_ *host.Round, ri *data.RouterInfo, _ bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inbound[ri.Hash()] = true
}

// heard tells whether a router has dialled.
func (p *probe) heard(from data.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inbound[from]
}

// Connected implements transport.Handler.
func (p *probe) Connected(*host.Round, data.Hash) {}

// Online implements transport.Handler.
func (p *probe) Online(*host.Round, time.Time) {}

// Readdressed implements transport.Handler.
func (p *probe) Readdressed(*host.Round) {}

// Banned implements transport.Handler.
func (p *probe) Banned(time.Time, data.Hash) bool { return false }
