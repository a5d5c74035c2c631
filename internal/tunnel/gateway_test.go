package tunnel_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/wire"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const headerSize = 16 // of an I2NP message

func message(id uint32, body []byte) i2np.Message {
	return i2np.Message{Type: i2np.TypeGarlic, ID: id, Expiration: epoch, Body: body}
}

func body(n int) []byte {
	b := make([]byte, n)
	random.Fill(b)
	return b
}

func router(first byte) data.Hash { return data.Hash{0: first, 31: 1} }

// piece is one fragment found in a plain tunnel message.
type piece struct {
	tunnel.Instructions
	bytes []byte
}

// takeApart takes a plain tunnel message apart by the specification, padding,
// checksum and all. It panics when something is wrong.
func takeApart(m i2np.TunnelData) []piece {
	if len(m) != i2np.TunnelDataSize {
		panic("size")
	}
	payload := m[24+bytes.IndexByte(m[24:], 0)+1:]
	if sum := sha256.Sum256(append(bytes.Clone(payload), m[4:20]...)); !bytes.Equal(sum[:4], m[20:24]) {
		panic("checksum")
	}
	var all []piece
	for r := wire.NewReader(payload); r.Len() > 0; {
		in, err := tunnel.ParseInstructions(&r)
		if err != nil {
			panic(err)
		}
		all = append(all, piece{in, r.Bytes(in.Size)})
		if r.Err() != nil {
			panic(r.Err())
		}
	}
	return all
}

func add(t *testing.T, g *tunnel.Gateway, d tunnel.Delivery, m i2np.Message) {
	t.Helper()
	if err := g.Add(d, m); err != nil {
		t.Fatal(err)
	}
}

func TestGatewayPacksSmallMessagesTogether(t *testing.T) {
	g := tunnel.NewGateway()
	deliveries := []tunnel.Delivery{
		{Kind: tunnel.Local},
		{Kind: tunnel.ToRouter, Router: router(1)},
		{Kind: tunnel.ToTunnel, Router: router(2), Tunnel: 77},
	}
	for i, d := range deliveries {
		add(t, g, d, message(uint32(i+1), body(100)))
	}
	packed := g.Flush(0xabcd)
	if len(packed) != 1 {
		t.Fatalf("%d tunnel messages", len(packed))
	}
	if id := binary.BigEndian.Uint32(packed[0]); id != 0xabcd {
		t.Errorf("tunnel ID %#x", id)
	}
	for i, p := range takeApart(packed[0]) {
		if p.Delivery != deliveries[i] || p.Fragment != 0 || !p.Last {
			t.Errorf("message %d: %+v", i, p.Instructions)
		}
	}
}

func TestTunnelMessagesDifferThoughTheirContentsDoNot(t *testing.T) {
	g := tunnel.NewGateway()
	m := message(1, body(100))
	seen := make(map[[16]byte]bool)
	paddings := make(map[string]bool)
	for range 50 {
		add(t, g, tunnel.Delivery{}, m)
		packed := g.Flush(1)[0]
		seen[[16]byte(packed[4:20])] = true
		end := 24 + bytes.IndexByte(packed[24:], 0)
		if n := end - 24; n != 1003-3-headerSize-100 {
			t.Fatalf("%d bytes of padding without a zero", n)
		}
		for at := 24; at+32 <= end; at += 32 {
			paddings[string(packed[at:at+32])] = true
		}
		g.Reset()
	}
	if len(seen) != 50 {
		t.Errorf("%d different IVs of 50", len(seen))
	}
	if len(paddings) != 50*(884/32) {
		t.Errorf("padding repeats: %d different pieces", len(paddings))
	}
}

// largest is the body of a message that fills one tunnel message to the end.
const largest = 1003 - 3 - headerSize

func TestMessageThatFitsIsNotCut(t *testing.T) {
	g := tunnel.NewGateway()
	add(t, g, tunnel.Delivery{}, message(1, body(largest)))
	packed := g.Flush(1)
	if len(packed) != 1 || len(takeApart(packed[0])) != 1 {
		t.Fatalf("%d tunnel messages", len(packed))
	}
	g.Reset()
	add(t, g, tunnel.Delivery{}, message(1, body(largest+1)))
	if packed = g.Flush(1); len(packed) != 2 {
		t.Fatalf("one byte more takes %d tunnel messages", len(packed))
	}
}

func TestFragmentsComeBackToBack(t *testing.T) {
	g := tunnel.NewGateway()
	d := tunnel.Delivery{Kind: tunnel.ToTunnel, Router: router(9), Tunnel: 5}
	add(t, g, tunnel.Delivery{}, message(1, body(50)))
	add(t, g, d, message(2, body(30_000)))
	add(t, g, tunnel.Delivery{}, message(3, body(50)))
	var all []piece
	for _, m := range g.Flush(1) {
		all = append(all, takeApart(m)...)
	}
	id := all[1].MessageID
	if id == 0 {
		t.Error("message ID zero")
	}
	if all[1].Delivery != d || all[1].Last {
		t.Errorf("first fragment %+v", all[1].Instructions)
	}
	total := 0
	for i, p := range all[1 : len(all)-1] {
		last := i == len(all)-3
		if int(p.Fragment) != i || p.MessageID != id || p.Last != last || p.Size == 0 || p.Size > 996 {
			t.Errorf("fragment %d: %+v", i, p.Instructions)
		}
		total += p.Size
	}
	if total != 30_000+headerSize {
		t.Errorf("%d bytes in fragments", total)
	}
	if end := all[len(all)-1]; end.Fragment != 0 || !end.Last {
		t.Errorf("message after it: %+v", end.Instructions)
	}
}

// A message starts in the rest of an open tunnel message only when that saves
// one.
func TestMessageIsCutOnlyWhereItPays(t *testing.T) {
	for _, test := range []struct {
		name            string
		first, second   int
		messages, parts int // in all; of the second
	}{
		{"two small ones", 400, 400, 1, 1},
		{"fits alone, not beside", 400, 900, 2, 1},
		{"two beginnings cost the same", 900, 1500, 3, 2},
		{"the rest saves one", 200, 2600, 3, 3},
	} {
		g := tunnel.NewGateway()
		add(t, g, tunnel.Delivery{}, message(1, body(test.first)))
		add(t, g, tunnel.Delivery{}, message(2, body(test.second)))
		packed := g.Flush(1)
		parts := -1
		for _, m := range packed {
			parts += len(takeApart(m))
		}
		if len(packed) != test.messages || parts != test.parts {
			t.Errorf("%s: %d tunnel messages, %d parts; want %d, %d",
				test.name, len(packed), parts, test.messages, test.parts)
		}
	}
}

func TestGatewayRefusesWhatNoEndpointReassembles(t *testing.T) {
	g := tunnel.NewGateway()
	d := tunnel.Delivery{Kind: tunnel.ToTunnel, Router: router(9), Tunnel: 5}
	add(t, g, tunnel.Delivery{}, message(1, body(900)))
	add(t, g, d, message(2, body(tunnel.MaxI2NPSize-headerSize)))
	if n := len(g.Flush(1)); n > tunnel.MaxFragments+1 {
		t.Errorf("%d tunnel messages", n)
	}
	if err := g.Add(d, message(2, body(tunnel.MaxI2NPSize-headerSize+1))); !errors.Is(err, tunnel.ErrSize) {
		t.Errorf("too large: %v", err)
	}
	if err := g.AddEncoded(d, nil); !errors.Is(err, tunnel.ErrSize) {
		t.Errorf("empty: %v", err)
	}
	if n := len(g.Flush(1)); n != 0 {
		t.Errorf("%d tunnel messages of what was refused", n)
	}
}

func TestOneGatewayServesManyTunnels(t *testing.T) {
	g := tunnel.NewGateway()
	var all []i2np.TunnelData
	for id := tunnel.ID(1); id <= 5; id++ {
		add(t, g, tunnel.Delivery{}, message(uint32(id), body(100)))
		packed := g.Flush(id)
		if len(packed) != 1 {
			t.Fatalf("tunnel %d: %d messages", id, len(packed))
		}
		all = append(all, packed...)
	}
	for i, m := range all {
		if id := binary.BigEndian.Uint32(m); id != uint32(i+1) {
			t.Errorf("message %d for tunnel %d", i, id)
		}
		if n := len(takeApart(m)); n != 1 {
			t.Errorf("message %d holds %d", i, n)
		}
	}
}

func TestResetDropsWhatIsNotFlushed(t *testing.T) {
	g := tunnel.NewGateway()
	add(t, g, tunnel.Delivery{}, message(1, body(3000)))
	g.Reset()
	if n := len(g.Flush(1)); n != 0 {
		t.Errorf("%d tunnel messages", n)
	}
}

func TestGatewayAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("random numbers allocate under the race detector")
	}
	g := tunnel.NewGateway()
	d := tunnel.Delivery{Kind: tunnel.ToTunnel, Router: router(9), Tunnel: 5}
	small, large := message(1, body(200)), message(2, body(5000))
	allocs := testing.AllocsPerRun(100, func() {
		for range 4 {
			_ = g.Add(d, small)
			_ = g.Add(d, large)
			g.Flush(7)
		}
		g.Reset()
	})
	if allocs != 0 {
		t.Errorf("%v allocations per round", allocs)
	}
}

func benchmarkGateway(b *testing.B, size int) {
	g := tunnel.NewGateway()
	d := tunnel.Delivery{Kind: tunnel.ToTunnel, Router: router(9), Tunnel: 5}
	m := message(1, body(size))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		_ = g.Add(d, m)
		g.Flush(7)
		g.Reset()
	}
}

func BenchmarkGateway200(b *testing.B)  { benchmarkGateway(b, 200) }
func BenchmarkGateway900(b *testing.B)  { benchmarkGateway(b, 900) }
func BenchmarkGateway1800(b *testing.B) { benchmarkGateway(b, 1800) }
