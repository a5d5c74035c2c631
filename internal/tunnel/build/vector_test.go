package build_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/x25519"
)

// body is a message of four random records, one of them given.
func body(index int, record []byte) i2np.ShortTunnelBuild {
	records, err := i2np.NewShortTunnelBuild(4)
	if err != nil {
		panic(err)
	}
	random.Fill(records[1:])
	copy(records.Record(index)[:], record)
	return records
}

func sameKeys(q *build.Request, f *reference) bool {
	keys := q.Keys()
	key, tag := q.ReplyKey()
	wantKey, wantTag := [32]byte{}, [8]byte{}
	copy(wantKey[:], f.garlicKey)
	copy(wantTag[:], f.garTag)
	return bytes.Equal(keys.Layer[:], f.layer) && bytes.Equal(keys.IV[:], f.iv) && key == wantKey && tag == wantTag
}

// What a creator made of standard primitives asks, a hop understands, and what
// the hop makes of the message is what the specification says.
func TestHopAgreesWithTheReferenceCreator(t *testing.T) {
	for name, flag := range map[string]byte{"participant": 0, "gateway": 0x80, "endpoint": 0x40} {
		hop := newRouter()
		ephemeral := x25519.Generate()
		record, f := referenceSeal(t, hop.hash[:], hop.keys.Public[:], privateKey(t, ephemeral.Private[:]), request(flag, ""))
		const index = 2
		records := body(index, record)
		want := bytes.Clone(records)

		q := open(t, hop, records)
		if q.Receive != 0x11111111 || q.Next != 0x22222222 || q.NextRouter != data.Hash(bytes.Repeat([]byte{0x33}, 32)) ||
			q.NextMessageID != 0x44444444 || q.Lifetime != 600*time.Second {
			t.Errorf("%s: %+v", name, q.RequestRecord)
		}
		if !sameKeys(q, f) {
			t.Errorf("%s: keys differ", name)
		}
		q.Answer(records, build.Refuse)
		reply := make([]byte, 202)
		reply[201] = 30
		f.answer(t, want, index, reply)
		if !bytes.Equal(records, want) {
			t.Errorf("%s: answer differs", name)
		}
	}
}

// A chain of hops made of standard primitives builds a tunnel.
func TestCreatorAgreesWithReferenceHops(t *testing.T) {
	forBothDirections(t, func(t *testing.T, direction build.Direction, hops []router, end router) {
		b, records := create(t, path(direction, hops, end.hash))
		var layers tunnel.Layers
		for i, r := range hops {
			at, err := build.Find(r.hash, records)
			if err != nil {
				t.Fatal(err)
			}
			f := referenceOpen(t, privateKey(t, r.keys.Private[:]), records.Record(at)[:])
			layers = append(layers, tunnel.NewLayer(&tunnel.Keys{Layer: [32]byte(f.layer), IV: [32]byte(f.iv)}))
			options := fmt.Sprintf("\x01b=\x02%d;", 10+i)
			reply := append([]byte{0, byte(len(options))}, options...)
			reply = append(reply, make([]byte, 202-len(reply))...)
			reply[201] = byte(i)
			f.answer(t, records, at, reply)
		}
		replies, err := b.Open(records)
		if err != nil {
			t.Fatal(err)
		}
		for i, reply := range replies {
			if int(reply.Code) != i || reply.Available != 10+i {
				t.Errorf("hop %d: %+v", i, reply)
			}
		}
		requireSameLayers(t, b.Layers(), layers)
	})
}

// The figures of one record with fixed keys, for whoever wants to compare
// another router with this one.
func TestFixedRecord(t *testing.T) {
	static := x25519.FromPrivate(x25519.PrivateKey(bytes.Repeat([]byte{1}, 32)))
	hop := router{hash: data.Hash(bytes.Repeat([]byte{0xaa}, 32)), keys: static}
	record, f := referenceSeal(t, hop.hash[:], static.Public[:], privateKey(t, bytes.Repeat([]byte{2}, 32)), request(0x40, ""))
	q := open(t, hop, body(3, record))
	keys := q.Keys()
	key, tag := q.ReplyKey()
	replay := q.ReplayKey()
	for name, pair := range map[string][2]string{
		"record ends":      {hex.EncodeToString(record[202:]), fixedMAC},
		"reply key":        {hex.EncodeToString(replay[:]), fixedReply},
		"layer key":        {hex.EncodeToString(keys.Layer[:]), fixedLayer},
		"IV key":           {hex.EncodeToString(keys.IV[:]), fixedIV},
		"garlic reply key": {hex.EncodeToString(key[:]), fixedGarlicKey},
		"garlic reply tag": {hex.EncodeToString(tag[:]), fixedGarlicTag},
		"hash":             {hex.EncodeToString(f.h), fixedHash},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s", name, pair[0])
		}
	}
}

const (
	fixedMAC       = "32c3671ec695b48d896356c4e390c46c"
	fixedReply     = "d6be4896cd09a489dc9fd8ec3bb89687ceab21f77e9f6f1392610aea9e945448"
	fixedLayer     = "b66d0e9b223ff1d03af2604580a0cfdc5dd7ea5ce6f94c179c615cb13bafea6f"
	fixedIV        = "5700eca52087e435db9e160eb34db974c8a317a83e05691ef35cd5eaa2826f24"
	fixedGarlicKey = "8110f0775c9cbbbdf5080e9ab6896c932a663a432a94e06090ba0bd3fcba88e0"
	fixedGarlicTag = "bfbbb20737b098c1"
	fixedHash      = "5f7d2f45987a2d6a4ce27de3dc74401931aaed13a5733016d2e02767c4af87e3"
)

func TestOptionsAreWishes(t *testing.T) {
	for name, test := range map[string]struct {
		options string
		want    build.Bandwidth
	}{
		"all":           {"\x01l=\x0230;\x01m=\x0210;\x01r=\x0220;", build.Bandwidth{Minimum: 10, Requested: 20, Limit: 30}},
		"one":           {"\x01r=\x0220;", build.Bandwidth{Requested: 20}},
		"others":        {"\x01x=\x0220;", build.Bandwidth{}},
		"not a number":  {"\x01m=\x02-1;\x01r=\x02 1;", build.Bandwidth{}},
		"not a mapping": {"\x09m=\x0210;", build.Bandwidth{}},
	} {
		hop := newRouter()
		ephemeral := x25519.Generate()
		record, _ := referenceSeal(t, hop.hash[:], hop.keys.Public[:], privateKey(t, ephemeral.Private[:]), request(0, test.options))
		if q := open(t, hop, body(0, record)); q.Bandwidth != test.want {
			t.Errorf("%s: %+v", name, q.Bandwidth)
		}
	}
}

func TestHopThatIsToBeBothEndsIsDropped(t *testing.T) {
	hop := newRouter()
	ephemeral := x25519.Generate()
	record, _ := referenceSeal(t, hop.hash[:], hop.keys.Public[:], privateKey(t, ephemeral.Private[:]), request(0xc0, ""))
	if _, err := build.Open(hop.hash, &hop.keys, body(0, record)); !errors.Is(err, build.ErrBothEnds) || !errors.Is(err, build.ErrDrop) {
		t.Error(err)
	}
}

// FuzzRequest opens whatever a creator may seal.
func FuzzRequest(f *testing.F) {
	f.Add(request(0, ""))
	f.Add(request(0x80, "\x01l=\x0230;\x01m=\x0210;"))
	f.Add(request(0xc0, ""))
	f.Add(append(request(0x40, "")[:56], 0xff, 0xff))
	hop := newRouter()
	ephemeral := privateKey(f, bytes.Repeat([]byte{2}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		plain := make([]byte, 154)
		copy(plain, b)
		record, reference := referenceSeal(t, hop.hash[:], hop.keys.Public[:], ephemeral, plain)
		records := body(1, record)
		q, err := build.Open(hop.hash, &hop.keys, records)
		if both := plain[40]&0xc0 == 0xc0; both != (err != nil) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		if !sameKeys(q, reference) {
			t.Error("keys differ")
		}
		_ = q.Validate(now, newRouter().hash, hop.hash)
		q.Answer(records, build.Accept)
	})
}

// FuzzOpen gives a hop, and a creator, whatever may come in a message.
func FuzzOpen(f *testing.F) {
	hop := newRouter()
	b, records, err := build.Create(now, path(build.Inbound, []router{hop}, newRouter().hash))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(records))
	f.Add(append([]byte{1}, bytes.Repeat([]byte{0xff}, 218)...))
	f.Fuzz(func(t *testing.T, message []byte) {
		records, err := i2np.ParseShortTunnelBuild(message)
		if err != nil {
			return
		}
		copy(records.Record(0)[:16], hop.hash[:])
		if q, err := build.Open(hop.hash, &hop.keys, records); err == nil {
			q.Answer(records, build.Refuse)
		} else if !errors.Is(err, build.ErrDrop) {
			t.Error(err)
		}
		if _, err := b.Open(records); err != nil && !errors.Is(err, build.ErrTampered) {
			t.Error(err)
		}
	})
}

// FuzzReply reads whatever a hop may answer.
func FuzzReply(f *testing.F) {
	f.Add([]byte{0, 0})
	f.Add([]byte("\x00\x06\x01b=\x0210;"))
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, plain []byte) {
		hop := newRouter()
		b, records := create(t, path(build.Outbound, []router{hop}, newRouter().hash))
		at, err := build.Find(hop.hash, records)
		if err != nil {
			t.Fatal(err)
		}
		reply := make([]byte, 202)
		copy(reply, plain)
		referenceOpen(t, privateKey(t, hop.keys.Private[:]), records.Record(at)[:]).answer(t, records, at, reply)
		replies, err := b.Open(records)
		if err != nil || byte(replies[0].Code) != reply[201] || replies[0].Available < 0 {
			t.Errorf("%+v, %v", replies, err)
		}
	})
}

func BenchmarkCreateThreeHops(b *testing.B) {
	p := path(build.Outbound, routers(3), newRouter().hash)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := build.Create(now, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAnswer is all a hop does for a request.
func BenchmarkAnswer(b *testing.B) {
	hops := routers(3)
	_, records := create(b, path(build.Outbound, hops, newRouter().hash))
	scratch := bytes.Clone(records)
	b.ReportAllocs()
	for b.Loop() {
		copy(scratch, records)
		q, err := build.Open(hops[0].hash, &hops[0].keys, i2np.ShortTunnelBuild(scratch))
		if err != nil {
			b.Fatal(err)
		}
		q.Answer(i2np.ShortTunnelBuild(scratch), build.Accept)
	}
}

func BenchmarkNotOurs(b *testing.B) {
	_, records := create(b, path(build.Outbound, routers(3), newRouter().hash))
	other := newRouter()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := build.Open(other.hash, &other.keys, records); err == nil {
			b.Fatal("ours")
		}
	}
}

func BenchmarkReadAnswers(b *testing.B) {
	hops := routers(3)
	creator, records := create(b, path(build.Outbound, hops, newRouter().hash))
	for _, r := range hops {
		open(b, r, records).Answer(records, build.Accept)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := creator.Open(records); err != nil {
			b.Fatal(err)
		}
	}
}
