package crowd

import (
	"net/netip"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb/floodfill"
	"allium/internal/random"
	"allium/internal/replay"
	"allium/internal/sim"
	"allium/internal/transport"
)

// Answer is what a fake does with a request for a tunnel.
type Answer uint8

// The answers.
const (
	Silence Answer = iota // drops it
	Refusal               // refuses it with code 30
)

// Manners are how a fake behaves.
type Manners struct {
	// Caps is what it says of itself, such as "OfR".
	Caps string
	// Builds is what it does with requests for a tunnel.
	Builds Answer
	// Acks tells that it confirms what it is told to store. It keeps nothing.
	Acks bool
	// Names gives the routers it names when it is asked for anything; without
	// it there is no answer.
	Names func(key data.Hash) []data.Hash
	// Fits tells whether it likes a hash: it makes keys until it does. It may
	// be nil.
	Fits func(h data.Hash) bool
}

// Fake is a router that has sessions, and nothing else a router has. All fakes
// of a network are in one hand: each knows the routers that any of them knows.
type Fake struct {
	*identity
	Manners

	net       *Network
	host      *sim.Host
	transport *transport.Transport
	garlics   *replay.Filter
}

// directory is the routers that fakes know.
type directory map[data.Hash]*data.RouterInfo

// RouterInfo implements transport.RouterInfos.
func (d directory) RouterInfo(h data.Hash) *data.RouterInfo { return d[h] }

// Fake starts one.
func (n *Network) Fake(m Manners) *Fake {
	n.TB.Helper()
	h := n.World.Host(n.address())
	f := &Fake{
		identity: n.identity(netip.AddrPortFrom(h.Addr(), port), m.Caps, m.Fits),
		Manners:  m, net: n, host: h,
		garlics: replay.New(10*time.Minute, 1<<12),
	}
	var err error
	limiter := bandwidth.NewLimiter(h.Now(), bandwidth.Limits{})
	f.transport, err = transport.New(settings(h.Addr(), floodfill.Off).Transport, h, f.local, n.directory, limiter, f)
	if err != nil {
		n.TB.Fatal(err)
	}
	n.directory[f.Hash()] = f.info(h.Now())
	n.Fakes = append(n.Fakes, f)
	return f
}

// Hash is its name.
func (f *Fake) Hash() data.Hash { return f.local.Hash }

// Kill cuts its power.
func (f *Fake) Kill() { f.net.World.Kill(f.host) }

// publishEvery is how often a fake stores its RouterInfo.
const publishEvery = 40 * time.Minute

// Publish has it store its RouterInfo with one of the floodfills, soon and
// again in time.
func (f *Fake) Publish(floodfills []data.Hash) {
	f.host.AfterFunc(random.Between(0, publishEvery), func(r *host.Round) { f.publish(r, floodfills) })
}

func (f *Fake) publish(r *host.Round, floodfills []data.Hash) {
	var deflater i2np.Deflater
	if info, err := deflater.DeflateRouterInfo(nil, f.info(r.Now).Bytes()); err == nil {
		store := i2np.DatabaseStore{Key: f.Hash(), ReplyToken: random.Nonzero32(), ReplyGateway: f.Hash(), Data: info}
		f.send(r, floodfills[random.IntN(len(floodfills))], i2np.TypeDatabaseStore, random.Nonzero32(), store.Append(nil))
	}
	f.host.AfterFunc(publishEvery, func(r *host.Round) { f.publish(r, floodfills) })
}

// messageLife is the life of what fakes send.
const messageLife = 60 * time.Second

// send sends a message. What does not get through is lost.
func (f *Fake) send(r *host.Round, to data.Hash, kind i2np.Type, id uint32, body []byte) {
	m := i2np.Message{Type: kind, ID: id, Expiration: r.Now.Add(messageLife), Body: body}
	_ = f.transport.Send(r, to, m, bandwidth.Own)
}

// Message implements transport.Handler.
func (f *Fake) Message(r *host.Round, _ data.Hash, m i2np.Message) bandwidth.Class {
	f.take(r, m)
	return bandwidth.Own
}

// RouterInfo implements transport.Handler.
func (f *Fake) RouterInfo(_ *host.Round, ri *data.RouterInfo, _ bool) {
	f.net.directory[ri.Hash()] = ri
}

// Connected implements transport.Handler.
func (f *Fake) Connected(*host.Round, data.Hash) {}

// Online implements transport.Handler.
func (f *Fake) Online(*host.Round, time.Time) {}

// Readdressed implements transport.Handler.
func (f *Fake) Readdressed(*host.Round) {}

// Failed implements transport.Handler.
func (f *Fake) Failed(*host.Round, data.Hash, error) {}

// Banned implements transport.Handler.
func (f *Fake) Banned(time.Time, data.Hash) bool { return false }

// Info is its RouterInfo.
func (f *Fake) Info() *data.RouterInfo { return f.info(f.host.Now()) }
