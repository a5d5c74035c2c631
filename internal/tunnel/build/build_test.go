package build_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/x25519"
)

var now = time.Date(2026, 5, 6, 7, 8, 59, 0, time.UTC)

// router is one that may be a hop.
type router struct {
	hash data.Hash
	keys x25519.KeyPair
}

func newRouter() router {
	r := router{keys: x25519.Generate()}
	random.Fill(r.hash[:])
	return r
}

func routers(n int) []router {
	all := make([]router, n)
	for i := range all {
		all[i] = newRouter()
	}
	return all
}

const endTunnel = 0x01020304

func path(direction build.Direction, hops []router, end data.Hash) build.Path {
	p := build.Path{Direction: direction, EndRouter: end, EndTunnel: endTunnel}
	for _, r := range hops {
		p.Hops = append(p.Hops, build.Hop{Hash: r.hash, Key: r.keys.Public})
	}
	return p
}

func create(t testing.TB, p build.Path) (*build.Build, i2np.ShortTunnelBuild) {
	t.Helper()
	b, records, err := build.Create(now, p)
	if err != nil {
		t.Fatal(err)
	}
	return b, records
}

// open is the hop's first half.
func open(t testing.TB, r router, records i2np.ShortTunnelBuild) *build.Request {
	t.Helper()
	q, err := build.Open(r.hash, &r.keys, records)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func forBothDirections(t *testing.T, f func(t *testing.T, direction build.Direction, hops []router, end router)) {
	for name, direction := range map[string]build.Direction{"inbound": build.Inbound, "outbound": build.Outbound} {
		for n := 1; n <= tunnel.MaxHops; n++ {
			t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) {
				f(t, direction, routers(n), newRouter())
			})
		}
	}
}

// Each hop, in its turn, finds a record of its own, sees what it is to be, and
// sees no other record twice; the creator reads what all have answered, and
// both ends have the same keys.
func TestChainOfHopsBuildsATunnel(t *testing.T) {
	forBothDirections(t, func(t *testing.T, direction build.Direction, hops []router, end router) {
		b, records := create(t, path(direction, hops, end.hash))
		if want := map[bool]int{true: 4, false: 8}[len(hops) <= 3]; records.Count() != want {
			t.Errorf("%d records, not %d", records.Count(), want)
		}
		wantReceive, previous := b.Gateway(), data.Hash{}
		if direction == build.Outbound {
			previous = newRouter().hash // the creator
		}
		seen := make(map[string]bool)
		replayKeys := make(map[[32]byte]bool)
		var layers tunnel.Layers
		for i, r := range hops {
			requireUnseen(t, seen, records)
			for _, later := range hops[i+1:] {
				if _, err := build.Find(later.hash, records); !errors.Is(err, build.ErrNotOurs) {
					t.Errorf("a later hop's record is in the clear at hop %d", i)
				}
			}
			q := open(t, r, records)
			if err := q.Validate(now, previous, r.hash); err != nil {
				t.Errorf("hop %d: %v", i, err)
			}
			requireRequest(t, q, direction, i, hops, end.hash)
			if q.Receive != wantReceive {
				t.Errorf("hop %d receives under %d, not %d", i, q.Receive, wantReceive)
			}
			replayKeys[q.ReplayKey()] = true
			keys := q.Keys()
			layers = append(layers, tunnel.NewLayer(&keys))
			q.Answer(records, build.Accept)
			wantReceive, previous = q.Next, r.hash
			if i == len(hops)-1 {
				requireEnd(t, b, q, direction)
			} else if q.NextMessageID == b.MessageID() {
				t.Errorf("hop %d of %d knows the creator's message ID", i, len(hops))
			}
		}
		if len(replayKeys) != len(hops) {
			t.Errorf("%d different replay keys of %d", len(replayKeys), len(hops))
		}
		replies, err := b.Open(records)
		if err != nil {
			t.Fatal(err)
		}
		for i, reply := range replies {
			if reply.Hash != hops[i].hash || reply.Code != build.Accept {
				t.Errorf("hop %d: %+v", i, reply)
			}
		}
		requireSameLayers(t, b.Layers(), layers)
	})
}

// requireUnseen fails when a record looks as it did at an earlier hop.
func requireUnseen(t *testing.T, seen map[string]bool, records i2np.ShortTunnelBuild) {
	t.Helper()
	for i := range records.Count() {
		r := string(records.Record(i)[:])
		if seen[r] {
			t.Errorf("record %d does not change", i)
		}
		seen[r] = true
	}
}

func requireRequest(t *testing.T, q *build.Request, direction build.Direction, i int, hops []router, end data.Hash) {
	t.Helper()
	role, next := build.Participant, end
	last := i == len(hops)-1
	switch {
	case direction == build.Inbound && i == 0:
		role = build.InboundGateway
	case direction == build.Outbound && last:
		role = build.OutboundEndpoint
	}
	if !last {
		next = hops[i+1].hash
	}
	if q.Role != role || q.NextRouter != next || last != (q.Next == endTunnel) {
		t.Errorf("hop %d: %+v", i, q.RequestRecord)
	}
	if q.LayerType != 0 || q.Lifetime != 10*time.Minute || !q.Time.Equal(now.Truncate(time.Minute)) ||
		q.NextMessageID == 0 || q.Bandwidth != (build.Bandwidth{}) {
		t.Errorf("hop %d: %+v", i, q.RequestRecord)
	}
}

// requireEnd looks at what the last hop alone is told.
func requireEnd(t *testing.T, b *build.Build, q *build.Request, direction build.Direction) {
	t.Helper()
	if q.NextMessageID != b.MessageID() {
		t.Errorf("answers go under %d, the creator waits for %d", q.NextMessageID, b.MessageID())
	}
	key, tag := q.ReplyKey()
	wantKey, wantTag := b.ReplyKey()
	if key != wantKey || tag != wantTag {
		t.Error("garlic reply keys differ")
	}
	if given := key != [32]byte{} && tag != [8]byte{}; given != (direction == build.Outbound) {
		t.Errorf("garlic reply key %x, tag %x", key, tag)
	}
}

// requireSameLayers sends a message over the hops' layers.
func requireSameLayers(t *testing.T, creator, hops tunnel.Layers) {
	t.Helper()
	m := make(i2np.TunnelData, i2np.TunnelDataSize)
	random.Fill(m)
	want := slices.Clone(m)
	var batch tunnel.Batch
	batch.Decrypt(creator, m)
	batch.Run()
	for _, hop := range hops {
		batch.Encrypt(hop, m)
		batch.Run()
	}
	if !bytes.Equal(m, want) {
		t.Error("layer keys differ")
	}
}

func TestRefusalIsSeenOfTheHopThatRefused(t *testing.T) {
	forBothDirections(t, func(t *testing.T, direction build.Direction, hops []router, end router) {
		for refuser := range hops {
			b, records := create(t, path(direction, hops, end.hash))
			for i, r := range hops {
				code := build.Accept
				if i == refuser {
					code = build.Refuse
				}
				open(t, r, records).Answer(records, code)
			}
			replies, err := b.Open(records)
			if err != nil {
				t.Fatal(err)
			}
			for i, reply := range replies {
				if refused := reply.Code == build.Refuse; refused != (i == refuser) || reply.Hash != hops[i].hash {
					t.Errorf("hop %d refused, hop %d says %+v", refuser, i, reply)
				}
			}
		}
	})
}

// A change anywhere on the way back to the creator is found, but in records
// that are nobody's: those nobody can tell from the others.
func TestTamperingIsFound(t *testing.T) {
	for _, direction := range []build.Direction{build.Inbound, build.Outbound} {
		hops, end := routers(3), newRouter()
		b, records := create(t, path(direction, hops, end.hash))
		for _, r := range hops {
			open(t, r, records).Answer(records, build.Accept)
		}
		found := 0
		for i := range records.Count() {
			bad := slices.Clone(records)
			bad.Record(i)[100] ^= 1
			if _, err := b.Open(bad); errors.Is(err, build.ErrTampered) {
				found++
			}
		}
		// Of four records three are the hops'; the fourth is the creator's own
		// in an inbound build and nobody's in an outbound one.
		if want := map[build.Direction]int{build.Inbound: 4, build.Outbound: 3}[direction]; found != want {
			t.Errorf("direction %d: found in %d records of %d", direction, found, want)
		}
		for range 2 {
			if _, err := b.Open(records); err != nil {
				t.Errorf("reading has changed the records: %v", err)
			}
		}
		more, _ := i2np.NewShortTunnelBuild(5)
		copy(more[1:], records[1:])
		if _, err := b.Open(more); !errors.Is(err, build.ErrTampered) {
			t.Errorf("another count of records: %v", err)
		}
	}
}

func TestTamperedRequestDoesNotOpen(t *testing.T) {
	hop := newRouter()
	_, records := create(t, path(build.Outbound, []router{hop}, newRouter().hash))
	at, err := build.Find(hop.hash, records)
	if err != nil {
		t.Fatal(err)
	}
	for _, byteAt := range []int{16, 47, 48, 217} {
		bad := slices.Clone(records)
		bad.Record(at)[byteAt] ^= 0x80
		if _, err := build.Open(hop.hash, &hop.keys, bad); !errors.Is(err, build.ErrSealed) || !errors.Is(err, build.ErrDrop) {
			t.Errorf("byte %d: %v", byteAt, err)
		}
	}
	lowOrder := slices.Clone(records)
	clear(lowOrder.Record(at)[16:48])
	if _, err := build.Open(hop.hash, &hop.keys, lowOrder); !errors.Is(err, build.ErrSealed) {
		t.Errorf("ephemeral key of low order: %v", err)
	}
	other := newRouter()
	if _, err := build.Open(other.hash, &other.keys, records); !errors.Is(err, build.ErrNotOurs) || !errors.Is(err, build.ErrDrop) {
		t.Errorf("another router: %v", err)
	}
}

// The last hop of an inbound tunnel must not see that the next is the creator.
func TestCreatorsOwnRecordLooksLikeAHops(t *testing.T) {
	hops, self := routers(2), newRouter()
	_, records := create(t, path(build.Inbound, hops, self.hash))
	for _, r := range hops {
		if _, err := build.Find(self.hash, records); err == nil {
			t.Error("the creator's record is in the clear too early")
		}
		open(t, r, records).Answer(records, build.Accept)
	}
	at, err := build.Find(self.hash, records)
	if err != nil {
		t.Fatal(err)
	}
	ephemeral := x25519.PublicKey(records.Record(at)[16:48])
	if ephemeral[31]&0x80 != 0 {
		t.Error("not an X25519 key")
	}
	if _, err := x25519.Shared(&self.keys.Private, &ephemeral); err != nil {
		t.Error(err)
	}
}

func TestRecordsStandInRandomOrder(t *testing.T) {
	hop := newRouter()
	seen := make(map[int]bool)
	for range 200 {
		_, records := create(t, path(build.Outbound, []router{hop}, newRouter().hash))
		at, err := build.Find(hop.hash, records)
		if err != nil {
			t.Fatal(err)
		}
		seen[at] = true
		if len(seen) == 4 {
			return
		}
	}
	t.Errorf("only %d places of 4 in 200 builds", len(seen))
}

func TestImpossiblePathsAreNotBuilt(t *testing.T) {
	hops, end := routers(8), newRouter()
	good := path(build.Inbound, hops[:2], end.hash)
	for name, spoil := range map[string]func(p *build.Path){
		"no hops":        func(p *build.Path) { p.Hops = nil },
		"too many hops":  func(p *build.Path) { *p = path(build.Inbound, hops, end.hash) },
		"hop twice":      func(p *build.Path) { p.Hops[1] = p.Hops[0] },
		"hop is nobody":  func(p *build.Path) { p.Hops[1].Hash = data.Hash{} },
		"hop is creator": func(p *build.Path) { p.EndRouter = p.Hops[1].Hash },
		"no end router":  func(p *build.Path) { p.EndRouter = data.Hash{} },
		"no end tunnel":  func(p *build.Path) { p.EndTunnel = 0 },
	} {
		p := good
		p.Hops = slices.Clone(good.Hops)
		spoil(&p)
		if _, _, err := build.Create(now, p); !errors.Is(err, build.ErrPath) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := good
	p.Hops = slices.Clone(good.Hops)
	p.Hops[0].Key = x25519.PublicKey{}
	if _, _, err := build.Create(now, p); !errors.Is(err, x25519.ErrLowOrder) {
		t.Errorf("key of low order: %v", err)
	}
}

func TestValidateKnowsWhatToDropAndWhatToRefuse(t *testing.T) {
	self, from, next := newRouter().hash, newRouter().hash, newRouter().hash
	none := data.Hash{}
	minutes := func(n int) time.Time { return now.Truncate(time.Minute).Add(time.Duration(n) * time.Minute) }
	good := func(role build.Role) build.RequestRecord {
		return build.RequestRecord{
			Receive: 1, Next: 2, NextRouter: next, Role: role, Time: minutes(0),
		}
	}
	for _, test := range []struct {
		name  string
		role  build.Role
		from  data.Hash
		spoil func(q *build.RequestRecord)
		want  error
	}{
		{"participant", build.Participant, from, nil, nil},
		{"gateway", build.InboundGateway, from, nil, nil},
		{"gateway through a tunnel", build.InboundGateway, none, nil, nil},
		{"gateway through our own tunnel", build.InboundGateway, self, nil, nil},
		{"endpoint", build.OutboundEndpoint, from, nil, nil},
		{"endpoint and reply gateway", build.OutboundEndpoint, from, func(q *build.RequestRecord) { q.NextRouter = self }, nil},
		{"endpoint that answers where it came from", build.OutboundEndpoint, from, func(q *build.RequestRecord) { q.NextRouter = from }, nil},
		{"eight minutes old", build.Participant, from, func(q *build.RequestRecord) { q.Time = minutes(-8) }, nil},
		{"five minutes ahead", build.Participant, from, func(q *build.RequestRecord) { q.Time = minutes(5) }, nil},

		{"receive ID zero", build.Participant, from, func(q *build.RequestRecord) { q.Receive = 0 }, build.ErrTunnelID},
		{"next ID zero", build.OutboundEndpoint, from, func(q *build.RequestRecord) { q.Next = 0 }, build.ErrTunnelID},
		{"next is nobody", build.Participant, from, func(q *build.RequestRecord) { q.NextRouter = none }, build.ErrNextHop},
		{"next is us", build.Participant, from, func(q *build.RequestRecord) { q.NextRouter = self }, build.ErrNextHop},
		{"gateway to itself", build.InboundGateway, from, func(q *build.RequestRecord) { q.NextRouter = self }, build.ErrNextHop},
		{"participant through a tunnel", build.Participant, none, nil, build.ErrPreviousHop},
		{"endpoint from us", build.OutboundEndpoint, self, nil, build.ErrPreviousHop},
		{"back where it came from", build.Participant, next, nil, build.ErrPreviousHop},
		{"nine minutes old", build.Participant, from, func(q *build.RequestRecord) { q.Time = minutes(-9) }, build.ErrOld},
		{"six minutes ahead", build.Participant, from, func(q *build.RequestRecord) { q.Time = minutes(6) }, build.ErrFuture},
		{"other layers", build.Participant, from, func(q *build.RequestRecord) { q.LayerType = 1 }, build.ErrLayerType},
	} {
		q := &build.Request{RequestRecord: good(test.role)}
		if test.spoil != nil {
			test.spoil(&q.RequestRecord)
		}
		err := q.Validate(now, test.from, self)
		if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
			t.Errorf("%s: %v, not %v", test.name, err, test.want)
		}
		if drop, refuse := errors.Is(err, build.ErrDrop), errors.Is(err, build.ErrRefuse); err != nil && drop == refuse {
			t.Errorf("%s: drop %v, refuse %v", test.name, drop, refuse)
		}
		if (test.want == build.ErrLayerType) != errors.Is(err, build.ErrRefuse) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// request is the plain text of one, by the specification.
func request(flag byte, options string) []byte {
	b := make([]byte, 0, 154)
	b = binary.BigEndian.AppendUint32(b, 0x11111111)
	b = binary.BigEndian.AppendUint32(b, 0x22222222)
	b = append(b, bytes.Repeat([]byte{0x33}, 32)...)
	b = append(b, flag, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(now.Unix()/60))
	b = binary.BigEndian.AppendUint32(b, 600)
	b = binary.BigEndian.AppendUint32(b, 0x44444444)
	b = binary.BigEndian.AppendUint16(b, uint16(len(options)))
	b = append(b, options...)
	return append(b, make([]byte, 154-len(b))...)
}
