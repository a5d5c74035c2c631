package datagram_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/datagram"
	"allium/internal/host"
	"allium/internal/setting"
	"allium/internal/signature"
)

// addr is an address as the public API has them.
type addr struct {
	hash data.Hash
	port uint16
}

func (a addr) Network() string               { return "i2p" }
func (a addr) String() string                { return a.hash.B32() }
func (a addr) HashPort() (data.Hash, uint16) { return a.hash, a.port }

func newAddr(h data.Hash, port uint16) datagram.Addr { return addr{h, port} }

// desk is a host whose rounds are at a time the test sets.
type desk struct {
	host.Host
	now   time.Time
	round host.Round
}

func (d *desk) Do(f func(r *host.Round)) {
	d.round.Begin(d.now)
	f(&d.round)
	d.round.End()
}

var start = time.Unix(1_800_000_000, 0)

// end is the datagrams of one Destination and the last message they sent.
type end struct {
	*datagram.Datagrams
	d     *desk
	local datagram.Local
	hash  data.Hash
	sent  message
	err   error // that sending fails with
}

type message struct {
	to               data.Hash
	protocol         uint8
	fromPort, toPort uint16
	payload          []byte
}

func newLocal(t testing.TB, kind signature.Type) datagram.Local {
	t.Helper()
	key, err := signature.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.NewDestination(key)
	if err != nil {
		t.Fatal(err)
	}
	return datagram.Local{Destination: d, Key: key}
}

func newEnd(t testing.TB, local datagram.Local) *end {
	t.Helper()
	var cfg datagram.Config
	setting.Defaults(&cfg)
	e := &end{d: &desk{now: start}, local: local, hash: local.Destination.Hash()}
	e.Datagrams = datagram.New(cfg, e.d, local, func(_ *host.Round, to data.Hash, protocol uint8, fromPort, toPort uint16, payload []byte) error {
		e.sent = message{to, protocol, fromPort, toPort, append(e.sent.payload[:0], payload...)}
		return e.err
	}, newAddr)
	return e
}

// to sends a datagram to another end, which receives it as it comes from
// sender.
func (e *end) to(o *end, sender datagram.Sender, p datagram.Protocol, payload []byte) error {
	var err error
	e.d.Do(func(r *host.Round) { err = e.Send(r, p, o.hash, 1, 2, payload) })
	if err != nil {
		return err
	}
	return o.receive(sender, e.sent)
}

func (e *end) receive(sender datagram.Sender, m message) (err error) {
	e.d.Do(func(r *host.Round) { err = e.Receive(r, sender, m.protocol, m.fromPort, m.toPort, m.payload) })
	return err
}

// collect keeps what comes to e.
func (e *end) collect(t testing.TB, p datagram.Protocol) *[]datagram.Packet {
	t.Helper()
	all := new([]datagram.Packet)
	if _, err := e.Handle(p, 0, func(_ *host.Round, p datagram.Packet) {
		p.Payload = bytes.Clone(p.Payload)
		p.Options = p.Options.Clone()
		*all = append(*all, p)
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// offlineLocal is a Destination whose own key is elsewhere.
func offlineLocal(t testing.TB, expires time.Time) datagram.Local {
	t.Helper()
	l := newLocal(t, signature.Ed25519)
	transient, err := signature.Generate(signature.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	o, err := data.NewOfflineSignature(l.Key, expires, transient.Type(), transient.Public())
	if err != nil {
		t.Fatal(err)
	}
	l.Key, l.Offline = transient, o.Append(nil)
	return l
}

var kinds = []datagram.Protocol{datagram.Datagram1, datagram.Raw, datagram.Datagram2, datagram.Datagram3}

func TestDatagramsArriveAsSent(t *testing.T) {
	for _, key := range []signature.Type{signature.Ed25519, signature.ECDSAP256, signature.RedDSA} {
		for _, kind := range kinds {
			for _, bound := range []bool{false, true} {
				a, b := newEnd(t, newLocal(t, key)), newEnd(t, newLocal(t, key))
				got := b.collect(t, kind)
				sender := datagram.Sender{Bound: bound}
				if bound {
					sender.Hash = a.hash
				}
				for _, payload := range []string{"payload", ""} {
					if err := a.to(b, sender, kind, []byte(payload)); err != nil {
						t.Fatalf("%v, bound %v: %v", kind, bound, err)
					}
					p := (*got)[len(*got)-1]
					known := kind != datagram.Raw || bound
					signed := kind == datagram.Datagram1 || kind == datagram.Datagram2
					if string(p.Payload) != payload || p.FromPort != 1 || p.ToPort != 2 || (p.From == a.hash) != known ||
						p.Authentic != (signed || bound) || (p.Destination != nil) != signed {
						t.Errorf("%v, bound %v: got %+v", kind, bound, p)
					}
				}
			}
		}
	}
}

// TestFormats pins the bytes of each kind but for its keys.
func TestFormats(t *testing.T) {
	a, b := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	whole := a.local.Destination.Bytes()
	verify := a.local.Destination.Verify
	for _, kind := range kinds {
		if err := a.to(b, datagram.Sender{}, kind, []byte("payload")); err != nil {
			t.Fatal(err)
		}
		m := a.sent
		ok := m.to == b.hash && m.protocol == uint8(kind)
		switch kind {
		case datagram.Datagram1:
			ok = ok && bytes.Equal(m.payload[:391], whole) && string(m.payload[455:]) == "payload" && verify([]byte("payload"), m.payload[391:455])
		case datagram.Raw:
			ok = ok && string(m.payload) == "payload"
		case datagram.Datagram2:
			signed := append(b.hash[:], "\x00\x02payload"...)
			ok = ok && bytes.Equal(m.payload[:391], whole) && string(m.payload[391:400]) == "\x00\x02payload" && verify(signed, m.payload[400:])
		case datagram.Datagram3:
			ok = ok && bytes.Equal(m.payload[:32], a.hash[:]) && string(m.payload[32:]) == "\x00\x03payload"
		}
		if !ok {
			t.Errorf("%v: %s", kind, hex.EncodeToString(m.payload))
		}
	}
}

func TestEveryByteIsSigned(t *testing.T) {
	for _, kind := range []datagram.Protocol{datagram.Datagram1, datagram.Datagram2} {
		for _, local := range []datagram.Local{newLocal(t, signature.Ed25519), offlineLocal(t, start.Add(time.Hour))} {
			a, b := newEnd(t, local), newEnd(t, newLocal(t, signature.Ed25519))
			got := b.collect(t, kind)
			err := a.to(b, datagram.Sender{}, kind, []byte("payload"))
			if kind == datagram.Datagram1 && local.Offline != nil {
				if !errors.Is(err, datagram.ErrProtocol) {
					t.Errorf("a Datagram1 with an offline key: %v", err)
				}
				continue
			}
			if err != nil || len(*got) != 1 {
				t.Fatal(err)
			}
			for i := range a.sent.payload {
				a.sent.payload[i] ^= 0x10
				err := b.receive(datagram.Sender{}, a.sent)
				refused := errors.Is(err, datagram.ErrSignature) || errors.Is(err, datagram.ErrMalformed)
				// The Destination is not signed: one with another hash and
				// the same key may come of it.
				if !refused && (err != nil || (*got)[len(*got)-1].From == a.hash) {
					t.Fatalf("%v: byte %d can be changed: %v", kind, i, err)
				}
				a.sent.payload[i] ^= 0x10
			}
		}
	}
}

// TestDatagram2IsForOneReceiver: the one who got it cannot pass it on.
func TestDatagram2IsForOneReceiver(t *testing.T) {
	a, b, c := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	b.collect(t, datagram.Datagram2)
	got := c.collect(t, datagram.Datagram2)
	if err := a.to(b, datagram.Sender{}, datagram.Datagram2, []byte("for b")); err != nil {
		t.Fatal(err)
	}
	for _, sender := range []datagram.Sender{{}, {Bound: true, Hash: b.hash}} {
		if err := c.receive(sender, a.sent); !errors.Is(err, datagram.ErrSignature) || len(*got) != 0 {
			t.Errorf("from %+v: %v", sender, err)
		}
	}
}

// TestSessionProvesADatagram2: i2pd signs something else.
func TestSessionProvesADatagram2(t *testing.T) {
	a, b := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	got := b.collect(t, datagram.Datagram2)
	payload := append(bytes.Clone(a.local.Destination.Bytes()), "\x00\x02hello"...)
	payload = append(payload, a.local.Key.Sign(append(a.hash[:], "\x00\x02hello"...))...)
	m := message{protocol: 19, payload: payload}
	if err := b.receive(datagram.Sender{}, m); !errors.Is(err, datagram.ErrSignature) {
		t.Errorf("without a session: %v", err)
	}
	if err := b.receive(datagram.Sender{Bound: true, Hash: a.hash}, m); err != nil || len(*got) != 1 || string((*got)[0].Payload) != "hello" {
		t.Errorf("with one: %v", err)
	}
}

func TestSessionOfAnotherIsRefused(t *testing.T) {
	a, b := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	for _, kind := range []datagram.Protocol{datagram.Datagram1, datagram.Datagram2, datagram.Datagram3} {
		got := b.collect(t, kind)
		if err := a.to(b, datagram.Sender{Bound: true, Hash: b.hash}, kind, []byte("x")); !errors.Is(err, datagram.ErrSignature) || len(*got) != 0 {
			t.Errorf("%v: %v", kind, err)
		}
	}
}

func TestOfflineKeyExpires(t *testing.T) {
	a, b := newEnd(t, offlineLocal(t, start.Add(time.Hour))), newEnd(t, newLocal(t, signature.Ed25519))
	b.collect(t, datagram.Datagram2)
	b.d.now = start.Add(time.Hour)
	if err := a.to(b, datagram.Sender{}, datagram.Datagram2, nil); err != nil {
		t.Error(err)
	}
	b.d.now = start.Add(time.Hour + time.Second)
	if err := a.to(b, datagram.Sender{}, datagram.Datagram2, nil); !errors.Is(err, datagram.ErrSignature) {
		t.Errorf("after its end: %v", err)
	}
}

func TestOptionsAreReadAndSkipped(t *testing.T) {
	a, b := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	mapping, err := data.NewMapping(data.Pair{Key: "a", Value: "b"})
	if err != nil {
		t.Fatal(err)
	}
	body := append(mapping.Append([]byte{0, 0x12}), "hello"...)
	two := append(bytes.Clone(a.local.Destination.Bytes()), body...)
	two = append(two, a.local.Key.Sign(append(b.hash[:], body...))...)
	three := append(bytes.Clone(a.hash[:]), body...)
	three[33] = 0x13
	for _, m := range []message{{protocol: 19, payload: two}, {protocol: 20, payload: three}} {
		got := b.collect(t, datagram.Protocol(m.protocol))
		if err := b.receive(datagram.Sender{}, m); err != nil || len(*got) != 1 {
			t.Fatal(err)
		}
		p := (*got)[0]
		if v, _ := p.Options.Get("a"); v != "b" || string(p.Payload) != "hello" {
			t.Errorf("got %+v", p)
		}
		m.payload = bytes.Clone(m.payload)
		m.payload[map[uint8]int{19: 392, 20: 33}[m.protocol]] ^= 1
		if err := b.receive(datagram.Sender{}, m); !errors.Is(err, datagram.ErrMalformed) {
			t.Errorf("another version: %v", err)
		}
	}
}

// TestDSASignsTheDigest: such Destinations only come from old routers, and
// there is no key to try it with. What it signs is known.
func TestDSASignsTheDigest(t *testing.T) {
	sum := sha256.Sum256([]byte("payload"))
	if got := datagram.Signed1(signature.DSASHA1, []byte("payload")); !bytes.Equal(got, sum[:]) {
		t.Errorf("it signs %x", got)
	}
}

func TestTooLongIsRefused(t *testing.T) {
	a, b := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	for _, kind := range kinds {
		if err := a.to(b, datagram.Sender{}, kind, make([]byte, datagram.MaxLen-500)); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
		if err := a.to(b, datagram.Sender{}, kind, make([]byte, datagram.MaxLen+1)); !errors.Is(err, datagram.ErrTooLong) {
			t.Errorf("%v: %v", kind, err)
		}
	}
}

func TestPortsAndProtocolsAreApart(t *testing.T) {
	a, b := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	var at []string
	handle := func(p datagram.Protocol, port uint16, name string) func() {
		stop, err := b.Handle(p, port, func(*host.Round, datagram.Packet) { at = append(at, name) })
		if err != nil {
			t.Fatal(err)
		}
		return stop
	}
	handle(datagram.Raw, 0, "raw 0")
	stop := handle(datagram.Raw, 2, "raw 2")
	handle(datagram.Datagram1, 3, "one 3")
	if _, err := b.Handle(datagram.Raw, 2, nil); !errors.Is(err, datagram.ErrInUse) {
		t.Errorf("a port was taken twice: %v", err)
	}
	if _, err := b.Handle(6, 2, nil); !errors.Is(err, datagram.ErrProtocol) {
		t.Errorf("streams were taken for datagrams: %v", err)
	}
	_ = a.to(b, datagram.Sender{}, datagram.Raw, nil)
	_ = a.to(b, datagram.Sender{}, datagram.Datagram1, nil)
	stop()
	_ = a.to(b, datagram.Sender{}, datagram.Raw, nil)
	if len(at) != 2 || at[0] != "raw 2" || at[1] != "raw 0" {
		t.Errorf("they arrived at %q", at)
	}
	b.Close()
	if err := b.to(a, datagram.Sender{}, datagram.Raw, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func FuzzReceive(f *testing.F) {
	local := newLocal(f, signature.Ed25519)
	a, b := newEnd(f, local), newEnd(f, newLocal(f, signature.Ed25519))
	for _, kind := range kinds {
		if err := a.to(b, datagram.Sender{}, kind, []byte("payload")); err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(kind), false, bytes.Clone(a.sent.payload))
		f.Add(uint8(kind), true, bytes.Clone(a.sent.payload))
	}
	for _, kind := range kinds {
		b.collect(f, kind)
	}
	f.Fuzz(func(t *testing.T, protocol uint8, bound bool, payload []byte) {
		err := b.receive(datagram.Sender{Bound: bound, Hash: a.hash}, message{protocol: protocol, payload: payload})
		if err != nil && !errors.Is(err, datagram.ErrMalformed) && !errors.Is(err, datagram.ErrSignature) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestUnsignedDatagramsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	x, y := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	payload := make([]byte, 1024)
	for _, kind := range []datagram.Protocol{datagram.Raw, datagram.Datagram3} {
		if _, err := y.Handle(kind, 0, func(*host.Round, datagram.Packet) {}); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(1000, func() { _ = x.to(y, datagram.Sender{}, kind, payload) }); n > 0 {
			t.Errorf("%v allocates %v times", kind, n)
		}
	}
}

func BenchmarkDatagram(b *testing.B) {
	x, y := newEnd(b, newLocal(b, signature.Ed25519)), newEnd(b, newLocal(b, signature.Ed25519))
	payload := make([]byte, 1024)
	for _, kind := range kinds {
		if _, err := y.Handle(kind, 0, func(*host.Round, datagram.Packet) {}); err != nil {
			b.Fatal(err)
		}
		b.Run(kind.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if err := x.to(y, datagram.Sender{}, kind, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
