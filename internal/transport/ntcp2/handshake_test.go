package ntcp2_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/data"
	"allium/internal/replay"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

var update = flag.Bool("update", false, "write testdata anew")

var (
	now       = time.Date(2026, time.March, 1, 12, 0, 0, 250e6, time.UTC)
	aliceAddr = netip.MustParseAddrPort("198.51.100.1:10001")
	bobAddr   = netip.MustParseAddrPort("198.51.100.2:10002")
)

// handshake is two machines and the pipe between them.
type handshake struct {
	alice, bob       *router
	a, b             ntcp2.Machine
	remote           netip.AddrPort // where Bob sees Alice
	nowA, nowB       time.Time
	replays          *replay.Filter
	change           func(message int, b []byte) []byte
	messages         [][]byte
	aliceErr, bobErr error
}

func newHandshake(tb testing.TB) *handshake {
	h := &handshake{
		alice: newRouter(tb, aliceAddr, netID),
		bob:   newRouter(tb, bobAddr, netID),
	}
	h.restart()
	return h
}

// restart begins another handshake of the two.
func (h *handshake) restart() {
	h.remote = netip.AddrPortFrom(aliceAddr.Addr(), 50000)
	h.nowA, h.nowB = now, now
	h.replays = replay.New(time.Hour, 100)
	h.messages = nil
	h.begin()
}

// begin makes the machines anew.
func (h *handshake) begin() {
	h.a = ntcp2.NewAlice(&h.alice.Local, h.bob.RouterInfo(h.nowB))
	h.b = ntcp2.NewBob(&h.bob.Local, h.replays, h.remote)
}

// feed runs a machine as far as the bytes reach.
func feed(m ntcp2.Machine, now time.Time, in []byte) (message, rest []byte, err error) {
	for !m.Done() && len(in) >= m.Need() && message == nil && err == nil {
		n := m.Need()
		message, err = m.Step(now, bytes.Clone(in[:n]))
		in = in[n:]
	}
	return message, in, err
}

// run passes messages until nobody has any.
func (h *handshake) run(tb testing.TB) {
	tb.Helper()
	var message, rest []byte
	for i := 0; i < 4; i++ {
		if i%2 == 0 {
			message, rest, h.aliceErr = feed(h.a, h.nowA, message)
		} else {
			message, rest, h.bobErr = feed(h.b, h.nowB, message)
		}
		if message == nil || h.aliceErr != nil {
			return
		}
		if len(rest) > 0 {
			tb.Fatalf("%d bytes left over before message %d", len(rest), i+1)
		}
		h.messages = append(h.messages, message)
		if h.change != nil {
			message = h.change(i+1, bytes.Clone(message))
		}
	}
}

// agreed reports whether both are done and have the same keys.
func (h *handshake) agreed() bool {
	if !h.a.Done() || !h.b.Done() || h.aliceErr != nil || h.bobErr != nil {
		return false
	}
	sendA, receiveA := h.a.Secrets()
	sendB, receiveB := h.b.Secrets()
	return sendA == receiveB && receiveA == sendB && sendA != receiveA
}

func TestHandshakeAgreesOnKeysAndPeers(t *testing.T) {
	h := newHandshake(t)
	h.run(t)
	if !h.agreed() {
		t.Fatalf("Alice: %v, Bob: %v", h.aliceErr, h.bobErr)
	}
	if got := h.b.PeerInfo(); !bytes.Equal(got.Bytes(), h.alice.RouterInfo(now).Bytes()) {
		t.Error("Bob has another RouterInfo of Alice")
	}
	for i, limit := range []int{ntcp2.FixedSize + 32, ntcp2.FixedSize + 32} {
		if n := len(h.messages[i]); n <= ntcp2.FixedSize || n > limit {
			t.Errorf("message %d has %d bytes", i+1, n)
		}
	}
}

func TestHandshakeTakesPaddingOfAnyAllowedLength(t *testing.T) {
	h := newHandshake(t)
	for _, n := range []int{0, 1, 223, 848} {
		h.restart()
		h.a.Pad(n)
		h.b.Pad(n)
		h.run(t)
		if !h.agreed() {
			t.Errorf("%d bytes: Alice: %v, Bob: %v", n, h.aliceErr, h.bobErr)
		}
	}
	h.restart()
	h.a.Pad(881)
	if h.run(t); !errors.Is(h.bobErr, ntcp2.ErrHandshake) {
		t.Errorf("881 bytes in message 1: %v", h.bobErr)
	}
	h.restart()
	h.b.Pad(849)
	if h.run(t); !errors.Is(h.aliceErr, ntcp2.ErrHandshake) {
		t.Errorf("849 bytes in message 2: %v", h.aliceErr)
	}
}

func TestTamperedByteBreaksTheHandshake(t *testing.T) {
	h := newHandshake(t)
	h.run(t)
	for i, m := range h.messages {
		stride := 1
		if testing.Short() {
			stride = 7
		}
		for at := 0; at < len(m); at += stride {
			h.restart()
			h.change = func(message int, b []byte) []byte {
				if message == i+1 && at < len(b) {
					b[at] ^= 1 << (at % 8)
				} else if message == i+1 {
					b[0] ^= 1 // padding is shorter this time
				}
				return b
			}
			if h.run(t); h.agreed() {
				t.Fatalf("message %d: byte %d does not matter", i+1, at)
			}
		}
	}
}

func TestBobRefusesAnotherNetwork(t *testing.T) {
	h := newHandshake(t)
	h.alice.NetID = 2
	h.begin()
	h.run(t)
	if !errors.Is(h.bobErr, ntcp2.ErrNetwork) || len(h.messages) != 1 {
		t.Errorf("message 1: %v, %d messages", h.bobErr, len(h.messages))
	}
	// The network in the RouterInfo counts too.
	h.alice = newRouter(t, aliceAddr, 2)
	h.alice.NetID = netID
	h.restart()
	h.run(t)
	if !errors.Is(h.bobErr, ntcp2.ErrNetwork) || len(h.messages) != 3 {
		t.Errorf("message 3: %v, %d messages", h.bobErr, len(h.messages))
	}
}

func TestClocksThatDifferTooMuchAreRefused(t *testing.T) {
	h := newHandshake(t)
	for _, skew := range []time.Duration{-65 * time.Second, -59 * time.Second, 59 * time.Second, 65 * time.Second} {
		h.restart()
		h.nowB = h.nowA.Add(skew)
		h.run(t)
		if skew.Abs() < time.Minute {
			if !h.agreed() {
				t.Errorf("%v: Alice: %v, Bob: %v", skew, h.aliceErr, h.bobErr)
			}
		} else if !errors.Is(h.aliceErr, ntcp2.ErrClockSkew) || len(h.messages) != 2 || !errors.Is(h.bobErr, ntcp2.ErrClockSkew) {
			t.Errorf("%v: Alice: %v, Bob: %v, %d messages", skew, h.aliceErr, h.bobErr, len(h.messages))
		}
		if got := h.a.Skew() - skew; got.Abs() > time.Second {
			t.Errorf("Alice found a skew of %v, should be %v", h.a.Skew(), skew)
		}
		if got := h.b.Skew() + skew; got.Abs() > time.Second {
			t.Errorf("Bob found a skew of %v, should be %v", h.b.Skew(), -skew)
		}
	}
}

func TestReplayedRequestIsRefused(t *testing.T) {
	h := newHandshake(t)
	h.run(t)
	again := ntcp2.NewBob(&h.bob.Local, h.replays, h.remote)
	message, _, err := feed(again, now.Add(30*time.Second), h.messages[0])
	if !errors.Is(err, ntcp2.ErrReplay) || message != nil {
		t.Errorf("%v, answer of %d bytes", err, len(message))
	}
}

func TestBobChecksWhoAliceIs(t *testing.T) {
	here := netip.MustParseAddr("198.51.100.1")
	for _, c := range []struct {
		name   string
		remote netip.Addr
		spoil  func(h *handshake)
		want   block.Reason
	}{
		{"published elsewhere", netip.MustParseAddr("198.51.100.77"), nil, block.Banned},
		{"other family", netip.MustParseAddr("2001:db8::1"), nil, block.Unspecified},
		{"another static key", here, func(h *handshake) { h.alice.RouterInfo(now); h.alice.Static = h.bob.Static }, block.BadStaticKey},
		{"old", here, func(h *handshake) { h.alice.stale(now.Add(-91 * time.Minute)) }, block.SessionConfirmedError},
		{"old enough", here, func(h *handshake) { h.alice.stale(now.Add(-89 * time.Minute)) }, block.Unspecified},
		{"from the future", here, func(h *handshake) { h.alice.stale(now.Add(3 * time.Minute)) }, block.SessionConfirmedError},
		{"bad signature", here, func(h *handshake) { h.alice.forge() }, block.BadRouterInfoSignature},
		{"ourselves", bobAddr.Addr(), func(h *handshake) { h.alice = h.bob }, block.SessionConfirmedError},
	} {
		h := newHandshake(t)
		h.remote = netip.AddrPortFrom(c.remote, 50000)
		if c.spoil != nil {
			c.spoil(h)
		}
		h.begin()
		h.run(t)
		var told *ntcp2.Termination
		switch ok := errors.As(h.bobErr, &told); {
		case c.want == block.Unspecified && h.bobErr != nil:
			t.Errorf("%s: %v", c.name, h.bobErr)
		case c.want != block.Unspecified && (!ok || told.Reason != c.want):
			t.Errorf("%s: %v, want %v", c.name, h.bobErr, c.want)
		}
	}
}

func TestIPv6PeerMayMoveWithinItsNetwork(t *testing.T) {
	h := newHandshake(t)
	h.alice = newRouter(t, netip.MustParseAddrPort("[2001:db8:1:2::3]:10001"), netID)
	for from, want := range map[string]bool{"2001:db8:1:2:9::9": true, "2001:db8:1:3::3": false} {
		h.restart()
		h.remote = netip.AddrPortFrom(netip.MustParseAddr(from), 50000)
		h.begin()
		if h.run(t); h.agreed() != want {
			t.Errorf("from %s: %v", from, h.bobErr)
		}
	}
}

// The transcript was made by this code: it shows when something changes. That
// others understand it is for the tests with real routers.
func TestTranscriptStaysTheSame(t *testing.T) {
	const file = "testdata/transcript.txt"
	cryptotest.SetGlobalRandom(t, 1)
	h := newHandshake(t)
	h.run(t)
	if !h.agreed() {
		t.Fatal(h.aliceErr, h.bobErr)
	}
	var got strings.Builder
	for i, m := range h.messages {
		fmt.Fprintf(&got, "message %d: %s\n", i+1, hex.EncodeToString(m))
	}
	ab, ba := h.a.Secrets()
	fmt.Fprintf(&got, "keys Alice to Bob: %x\nkeys Bob to Alice: %x\n", ab, ba)
	if *update {
		must(t, os.WriteFile(file, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

// FuzzResponder feeds Bob with what a stranger may send: he may not crash, nor
// answer anything but a true request.
func FuzzResponder(f *testing.F) {
	h := newHandshake(f)
	h.run(f)
	request := slices.Clone(h.messages[0])
	f.Add(request)
	f.Add(request[:40])
	f.Add(bytes.Repeat([]byte{0x11}, 300))
	f.Fuzz(func(t *testing.T, b []byte) {
		bob := ntcp2.NewBob(&h.bob.Local, replay.New(time.Hour, 10), h.remote)
		message, _, err := feed(bob, now, b)
		if err == nil && message != nil && !bytes.HasPrefix(b, request[:ntcp2.FixedSize]) {
			t.Error("answers a forged request")
		}
	})
}

// FuzzInitiator feeds Alice with what she may get for an answer.
func FuzzInitiator(f *testing.F) {
	h := newHandshake(f)
	h.run(f)
	f.Add(h.messages[1])
	f.Add(h.messages[1][:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		alice := ntcp2.NewAlice(&h.alice.Local, h.bob.RouterInfo(now))
		if _, _, err := feed(alice, now, nil); err != nil {
			t.Fatal(err)
		}
		if message, _, _ := feed(alice, now, b); message != nil {
			t.Error("takes a forged answer")
		}
	})
}

// FuzzConfirmed has Alice say anything in message 3.
func FuzzConfirmed(f *testing.F) {
	h := newHandshake(f)
	ri := h.alice.RouterInfo(now).Bytes()
	f.Add(block.AppendRouterInfo(nil, ri, false))
	f.Add(block.AppendPadding(block.AppendRouterInfo(nil, ri, true), 7))
	f.Add(block.AppendRouterInfo(block.AppendPadding(nil, 400), ri, true))
	f.Fuzz(func(t *testing.T, payload []byte) {
		raw, err := ntcp2.ConfirmedBlocks(payload)
		if err != nil {
			return
		}
		if ri, err := ntcp2.Admit(now, raw, h.alice.Static.Public, h.remote, &h.bob.Local); err == nil && ri.Hash() != h.alice.Hash {
			t.Error("lets somebody else in")
		}
	})
}

// stale has the router say that it was published then.
func (r *router) stale(published time.Time) {
	fresh := r.RouterInfo
	r.RouterInfo = func(time.Time) *data.RouterInfo { return fresh(published) }
}

// forge breaks the signature of the router's RouterInfo.
func (r *router) forge() {
	fresh := r.RouterInfo
	r.RouterInfo = func(now time.Time) *data.RouterInfo {
		b := bytes.Clone(fresh(now).Bytes())
		b[len(b)-1] ^= 1
		ri, err := data.ParseRouterInfo(b)
		if err != nil {
			panic(err)
		}
		return ri
	}
}
