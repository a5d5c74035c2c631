package tunnel_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/wire"
)

// plain makes a tunnel message with the payload, by the specification.
func plain(payload []byte) []byte {
	m := bytes.Repeat([]byte{1}, i2np.TunnelDataSize)
	random.Fill(m[4:20])
	start := i2np.TunnelDataSize - len(payload)
	copy(m[start:], payload)
	m[start-1] = 0
	sum := sha256.Sum256(append(bytes.Clone(payload), m[4:20]...))
	copy(m[20:24], sum[:4])
	return m
}

// fragment appends instructions and as many bytes of b as they say.
func fragment(payload []byte, in tunnel.Instructions, b []byte) []byte {
	in.Size = len(b)
	return append(in.Append(payload), b...)
}

// sink collects what an endpoint gives out.
type sink struct {
	deliveries []tunnel.Delivery
	messages   []i2np.Message
}

func (s *sink) emit(d tunnel.Delivery, m i2np.Message) {
	m.Body = bytes.Clone(m.Body)
	s.deliveries = append(s.deliveries, d)
	s.messages = append(s.messages, m)
}

func newEndpoint() (*tunnel.Endpoint, *tunnel.Reassembly) {
	memory := tunnel.NewReassembly(1 << 20)
	return tunnel.NewEndpoint(memory), memory
}

func push(t *testing.T, e *tunnel.Endpoint, s *sink, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		if err := e.Push(epoch, m, s.emit); err != nil {
			t.Fatal(err)
		}
	}
}

// pack gives the tunnel messages of one I2NP message alone.
func pack(d tunnel.Delivery, m i2np.Message) []i2np.TunnelData {
	g := tunnel.NewGateway()
	if err := g.Add(d, m); err != nil {
		panic(err)
	}
	return g.Flush(1)
}

func TestWhatEntersATunnelLeavesIt(t *testing.T) {
	deliveries := rapid.Custom(func(t *rapid.T) tunnel.Delivery {
		d := tunnel.Delivery{Kind: tunnel.DeliveryKind(rapid.IntRange(0, 2).Draw(t, "kind"))}
		if d.Kind != tunnel.Local {
			d.Router = router(rapid.Byte().Draw(t, "router"))
		}
		if d.Kind == tunnel.ToTunnel {
			d.Tunnel = tunnel.ID(rapid.Uint32Range(1, 1000).Draw(t, "tunnel"))
		}
		return d
	})
	sizes := rapid.OneOf(rapid.IntRange(0, 1200), rapid.IntRange(1200, 5000), rapid.IntRange(5000, 60_000))
	rapid.Check(t, func(t *rapid.T) {
		g := tunnel.NewGateway()
		e, memory := newEndpoint()
		var got, want sink
		for i := range rapid.IntRange(1, 12).Draw(t, "messages") {
			d := deliveries.Draw(t, "delivery")
			m := message(uint32(i), body(sizes.Draw(t, "size")))
			if err := g.Add(d, m); err != nil {
				t.Fatal(err)
			}
			want.emit(d, m)
		}
		for _, m := range g.Flush(1) {
			if err := e.Push(epoch, m, got.emit); err != nil {
				t.Fatal(err)
			}
		}
		requireSame(t, got, want)
		if memory.Held() != 0 {
			t.Fatalf("%d bytes still held", memory.Held())
		}
	})
}

func requireSame(t *rapid.T, got, want sink) {
	t.Helper()
	if len(got.messages) != len(want.messages) {
		t.Fatalf("%d messages of %d", len(got.messages), len(want.messages))
	}
	for i, m := range want.messages {
		n := got.messages[i]
		if got.deliveries[i] != want.deliveries[i] || n.ID != m.ID || n.Type != m.Type ||
			!n.Expiration.Equal(m.Expiration) || !bytes.Equal(n.Body, m.Body) {
			t.Fatalf("message %d differs", i)
		}
	}
}

// Tunnel messages come late, twice or not at all. A message comes out, and
// undamaged, exactly when all of its parts have come.
func TestEndpointCopesWithDisorder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := tunnel.NewGateway()
		d := tunnel.Delivery{Kind: tunnel.ToRouter, Router: router(3)}
		count := rapid.IntRange(1, 10).Draw(t, "messages")
		var bodies [][]byte
		for i := range count {
			b := body(rapid.IntRange(0, 8000).Draw(t, "size"))
			bodies = append(bodies, b)
			if err := g.Add(d, message(uint32(i), b)); err != nil {
				t.Fatal(err)
			}
		}
		packed := g.Flush(1)
		parts := whereParts(t, packed, count) // tunnel messages each message lies in
		total := len(packed)

		var order []int
		lost := make([]bool, total)
		for i := range total {
			switch rapid.IntRange(0, 9).Draw(t, "fate") {
			case 0:
				lost[i] = true
			case 1:
				order = append(order, i, i)
			default:
				order = append(order, i)
			}
		}
		order = rapid.Permutation(order).Draw(t, "order")

		e, memory := newEndpoint()
		got := make(map[uint32]bool)
		for _, i := range order {
			err := e.Push(epoch, bytes.Clone(packed[i]), func(_ tunnel.Delivery, m i2np.Message) {
				if !bytes.Equal(m.Body, bodies[m.ID]) {
					t.Fatalf("message %d is damaged", m.ID)
				}
				got[m.ID] = true
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, where := range parts {
			whole := true
			for _, p := range where {
				whole = whole && !lost[p]
			}
			if whole != got[uint32(i)] {
				t.Fatalf("message %d: all parts came %v, it came out %v", i, whole, got[uint32(i)])
			}
		}
		e.Expire(epoch.Add(45 * time.Second))
		if memory.Held() != 0 {
			t.Fatalf("%d bytes held after all has expired", memory.Held())
		}
	})
}

// whereParts finds the tunnel messages each of count messages lies in.
func whereParts(t *rapid.T, packed []i2np.TunnelData, count int) [][]int {
	t.Helper()
	where := make([][]int, 0, count)
	for i, m := range packed {
		for _, p := range takeApart(m) {
			if p.Fragment == 0 {
				where = append(where, nil)
			}
			last := &where[len(where)-1]
			*last = append(*last, i)
		}
	}
	if len(where) != count {
		t.Fatalf("%d messages of %d", len(where), count)
	}
	return where
}

func TestEndpointRejectsDamagedMessages(t *testing.T) {
	good := pack(tunnel.Delivery{}, message(1, body(100)))[0]
	for _, at := range []int{4, 19, 20, 23, i2np.TunnelDataSize - 1, i2np.TunnelDataSize - 110} {
		e, _ := newEndpoint()
		bad := bytes.Clone(good)
		bad[at] ^= 1
		err := e.Push(epoch, bad, func(tunnel.Delivery, i2np.Message) { t.Errorf("byte %d: delivered", at) })
		if !errors.Is(err, tunnel.ErrMalformed) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	e, _ := newEndpoint()
	for name, bad := range map[string][]byte{
		"short":          good[:1000],
		"without a zero": bytes.Repeat([]byte{1}, i2np.TunnelDataSize),
	} {
		if err := e.Push(epoch, bad, nil); !errors.Is(err, tunnel.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPaddingAloneIsNoMessage(t *testing.T) {
	e, _ := newEndpoint()
	if err := e.Push(epoch, plain(nil), nil); err != nil {
		t.Error(err)
	}
}

func TestBadMessageDoesNotHideTheNext(t *testing.T) {
	whole := tunnel.Instructions{Last: true}
	payload := fragment(nil, whole, body(5))
	payload = fragment(payload, whole, message(9, body(20)).AppendStandard(nil))
	e, _ := newEndpoint()
	var got sink
	if err := e.Push(epoch, plain(payload), got.emit); err == nil {
		t.Error("no error for the bad message")
	}
	if len(got.messages) != 1 || got.messages[0].ID != 9 {
		t.Errorf("%d messages", len(got.messages))
	}
}

func TestFragmentBeyondTheTunnelMessageIsMalformed(t *testing.T) {
	in := tunnel.Instructions{Last: true, Size: 100}
	e, _ := newEndpoint()
	err := e.Push(epoch, plain(append(in.Append(nil), body(99)...)), nil)
	if !errors.Is(err, tunnel.ErrMalformed) {
		t.Error(err)
	}
}

func TestContradictingFragmentsAreForgotten(t *testing.T) {
	follow := func(n uint8, last bool) tunnel.Instructions {
		return tunnel.Instructions{Fragment: n, Last: last, MessageID: 5}
	}
	for name, pair := range map[string][2]tunnel.Instructions{
		"a later one than the last": {follow(3, true), follow(4, false)},
		"the last before another":   {follow(4, false), follow(3, true)},
		"two last ones":             {follow(3, true), follow(2, true)},
	} {
		e, memory := newEndpoint()
		var got sink
		push(t, e, &got, plain(fragment(nil, pair[0], body(10))))
		err := e.Push(epoch, plain(fragment(nil, pair[1], body(10))), got.emit)
		if !errors.Is(err, tunnel.ErrMalformed) || memory.Held() != 0 {
			t.Errorf("%s: %v, %d bytes held", name, err, memory.Held())
		}
	}
}

func TestFragmentsExpire(t *testing.T) {
	packed := pack(tunnel.Delivery{}, message(1, body(1800)))
	for _, test := range []struct {
		wait time.Duration
		want int
	}{
		{45*time.Second - 1, 1},
		{45 * time.Second, 0},
	} {
		e, _ := newEndpoint()
		var got sink
		push(t, e, &got, packed[0])
		if err := e.Push(epoch.Add(test.wait), packed[1], got.emit); err != nil {
			t.Fatal(err)
		}
		if len(got.messages) != test.want {
			t.Errorf("after %v: %d messages", test.wait, len(got.messages))
		}
	}
}

// firstFragment is a message that will never be complete.
func firstFragment(id uint32, size int) []byte {
	return plain(fragment(nil, tunnel.Instructions{MessageID: id}, body(size)))
}

func TestEndpointForgetsTheOldestBeyondItsBounds(t *testing.T) {
	for name, size := range map[string]int{"many small": 1, "many large": 990} {
		memory := tunnel.NewReassembly(1 << 30)
		e := tunnel.NewEndpoint(memory)
		var got sink
		for id := range uint32(2000) {
			push(t, e, &got, firstFragment(id, size))
			if memory.Held() > 256<<10 {
				t.Fatalf("%s: %d bytes held", name, memory.Held())
			}
		}
		// What the last fragment completes is no message, so it tells.
		kept := 0
		for id := uint32(1999); ; id-- {
			last := tunnel.Instructions{Fragment: 1, Last: true, MessageID: id}
			if err := e.Push(epoch, plain(fragment(nil, last, body(1))), got.emit); err == nil {
				break
			}
			kept++
		}
		if kept < 100 || kept > 128 {
			t.Errorf("%s: %d kept", name, kept)
		}
		e.Close()
		if memory.Held() != 0 {
			t.Errorf("%s: %d bytes held after Close", name, memory.Held())
		}
	}
}

func TestEndpointsShareABound(t *testing.T) {
	const limit = 20_000
	memory := tunnel.NewReassembly(limit)
	var got sink
	var endpoints []*tunnel.Endpoint
	for i := range 50 {
		e := tunnel.NewEndpoint(memory)
		endpoints = append(endpoints, e)
		push(t, e, &got, firstFragment(uint32(i), 900))
		if memory.Held() > limit {
			t.Fatalf("%d bytes held", memory.Held())
		}
	}
	if memory.Held() < limit/2 {
		t.Errorf("only %d bytes held", memory.Held())
	}
	for _, e := range endpoints {
		e.Close()
	}
	push(t, endpoints[0], &got, firstFragment(1, 900))
	if memory.Held() != 0 {
		t.Errorf("%d bytes held after Close", memory.Held())
	}
}

func TestEndpointAllocatesNothing(t *testing.T) {
	g := tunnel.NewGateway()
	add(t, g, tunnel.Delivery{}, message(1, body(200)))
	add(t, g, tunnel.Delivery{Kind: tunnel.ToRouter, Router: router(1)}, message(2, body(5000)))
	packed := g.Flush(1)
	e, _ := newEndpoint()
	got := 0
	emit := func(tunnel.Delivery, i2np.Message) { got++ }
	round := func() {
		for _, m := range packed {
			_ = e.Push(epoch, m, emit)
		}
		for i := range packed { // and in the wrong order
			_ = e.Push(epoch, packed[len(packed)-1-i], emit)
		}
	}
	if allocs := testing.AllocsPerRun(100, round); allocs != 0 {
		t.Errorf("%v allocations per round", allocs)
	}
	if got != 101*4 {
		t.Errorf("%d messages came out", got)
	}
}

// Rounds run side by side and may all have messages of one tunnel.
func TestEndpointServesManyRoundsAtOnce(t *testing.T) {
	const count = 100 // fewer than an endpoint keeps waiting
	g := tunnel.NewGateway()
	for id := range uint32(count) {
		add(t, g, tunnel.Delivery{}, message(id, body(1500)))
	}
	packed := g.Flush(1)
	e, memory := newEndpoint()
	var came [count]atomic.Int32
	var rounds sync.WaitGroup
	const side = 4
	for first := range side {
		rounds.Go(func() {
			for i := first; i < len(packed); i += side {
				err := e.Push(epoch, packed[i], func(_ tunnel.Delivery, m i2np.Message) { came[m.ID].Add(1) })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	rounds.Wait()
	for id := range came {
		if n := came[id].Load(); n != 1 {
			t.Errorf("message %d came out %d times", id, n)
		}
	}
	if memory.Held() != 0 {
		t.Errorf("%d bytes still held", memory.Held())
	}
}

func FuzzEndpoint(f *testing.F) {
	f.Add(fragment(nil, tunnel.Instructions{Last: true}, message(1, []byte("hello")).AppendStandard(nil)))
	f.Add(fragment(fragment(nil,
		tunnel.Instructions{Fragment: 1, Last: true, MessageID: 4}, []byte("world")),
		tunnel.Instructions{MessageID: 4}, []byte("hello")))
	f.Add(bytes.Repeat(fragment(nil, tunnel.Instructions{MessageID: 4}, nil), 40))
	f.Add([]byte{0x60, 0, 1, 9})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 1003 {
			return
		}
		e, memory := newEndpoint()
		for range 2 {
			err := e.Push(epoch, plain(payload), func(tunnel.Delivery, i2np.Message) {})
			if err != nil && !errors.Is(err, tunnel.ErrMalformed) &&
				!errors.Is(err, wire.ErrShort) && !errors.Is(err, i2np.ErrChecksum) {
				t.Error(err)
			}
		}
		e.Close()
		if memory.Held() != 0 {
			t.Errorf("%d bytes held after Close", memory.Held())
		}
	})
}

func benchmarkEndpoint(b *testing.B, size int) {
	packed := pack(tunnel.Delivery{Kind: tunnel.ToRouter, Router: router(1)}, message(1, body(size)))
	e, _ := newEndpoint()
	emit := func(tunnel.Delivery, i2np.Message) {}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, m := range packed {
			_ = e.Push(epoch, m, emit)
		}
	}
}

func BenchmarkEndpoint900(b *testing.B)  { benchmarkEndpoint(b, 900) }
func BenchmarkEndpoint1800(b *testing.B) { benchmarkEndpoint(b, 1800) }
