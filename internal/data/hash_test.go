package data_test

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"allium/internal/data"
)

func hashes(n int) []data.Hash {
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]data.Hash, n)
	for i := range all {
		for j := range all[i] {
			all[i][j] = byte(r.Uint32())
		}
	}
	return all
}

func TestCloserComparesXORDistances(t *testing.T) {
	all := hashes(300)
	for i := 2; i < len(all); i++ {
		to, a, b := all[i-2], all[i-1], all[i]
		if i%2 == 0 { // alike up to the last byte
			a = to
			b = to
			a[31] ^= byte(i)
			b[31] ^= byte(i * 7)
		}
		if got, want := to.Closer(a, b), to.XOR(a).Compare(to.XOR(b)); got != want {
			t.Fatalf("Closer gives %d for %v, %v, %v: want %d", got, to, a, b, want)
		}
		if to.Closer(a, a) != 0 || to.Closer(to, b) > 0 {
			t.Fatalf("Closer of the same: %v, %v", a, b)
		}
	}
}

func TestHashSurvivesItsText(t *testing.T) {
	for _, h := range hashes(20) {
		if got, err := data.ParseHash(h.String()); err != nil || got != h {
			t.Errorf("%v read as %v, %v", h, got, err)
		}
	}
	for _, s := range []string{"", "A", strings.Repeat("A", 43), strings.Repeat("A", 44), strings.Repeat("A", 42) + "B=", strings.Repeat("A", 42) + "\n="} {
		if _, err := data.ParseHash(s); !errors.Is(err, data.ErrEncoding) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestHashIsShortInLogs(t *testing.T) {
	h := data.HashOf([]byte("router"))
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("peer", "router", h)
	if strings.Contains(out.String(), h.String()) || !strings.Contains(out.String(), h.Short()) {
		t.Errorf("logged %s", out.String())
	}
}

func BenchmarkCloser(b *testing.B) {
	all := hashes(3)
	if n := testing.AllocsPerRun(10, func() { all[0].Closer(all[1], all[2]) }); n != 0 {
		b.Fatalf("%v allocations", n)
	}
	for b.Loop() {
		all[0].Closer(all[1], all[2])
	}
}
