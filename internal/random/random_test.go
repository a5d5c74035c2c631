package random_test

import (
	"math"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/random"
)

// draws is one of everything.
func draws() []uint64 {
	b := make([]byte, 3)
	random.Fill(b)
	order := []uint64{0, 1, 2, 3, 4, 5}
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return append(order,
		uint64(b[0]), uint64(b[1]), uint64(b[2]),
		uint64(random.Uint32()), uint64(random.Nonzero32()), random.Uint64(),
		uint64(random.IntN(1000)), uint64(random.Between(time.Second, time.Hour)))
}

func TestSeedRepeatsChoices(t *testing.T) {
	var runs [3][]uint64
	for i, seed := range []uint64{7, 7, 8} {
		t.Run("", func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			runs[i] = draws()
		})
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Errorf("one seed, two results:\n%v\n%v", runs[0], runs[1])
	}
	if slices.Equal(runs[0], runs[2]) {
		t.Error("two seeds, one result")
	}
}

func TestIntNIsEven(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	const n, rounds = 6, 60000
	var count [n]int
	for range rounds {
		count[random.IntN(n)]++
	}
	for v, c := range count {
		// About five standard deviations.
		if math.Abs(float64(c)-rounds/n) > 460 {
			t.Errorf("%d came %d times of %d", v, c, rounds)
		}
	}
	if got := random.IntN(1); got != 0 {
		t.Errorf("IntN(1) = %d", got)
	}
	if got := random.IntN(math.MaxInt); got < 0 {
		t.Errorf("IntN(MaxInt) = %d", got)
	}
}

func TestIntNOfNothingPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	random.IntN(0)
}

func TestBetweenStaysBetween(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 2)
	seen := map[time.Duration]bool{}
	for range 200 {
		d := random.Between(-1, 2)
		if d < -1 || d > 2 {
			t.Fatalf("%d is not from -1 to 2", d)
		}
		seen[d] = true
	}
	if len(seen) != 4 {
		t.Errorf("of -1 to 2 only %v came", seen)
	}
	if d := random.Between(5, 5); d != 5 {
		t.Errorf("from 5 to 5: %d", d)
	}
	if d := random.Between(5, 3); d != 5 {
		t.Errorf("from 5 to 3: %d", d)
	}
	random.Between(math.MinInt64, math.MaxInt64)
	if d := random.Between(math.MinInt64, 0); d > 0 {
		t.Errorf("from the least to 0: %d", d)
	}
}

func TestShuffleReachesEveryOrder(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 3)
	count := map[[3]int]int{}
	const rounds = 6000
	for range rounds {
		order := [3]int{0, 1, 2}
		random.Shuffle(3, func(i, j int) { order[i], order[j] = order[j], order[i] })
		count[order]++
	}
	if len(count) != 6 {
		t.Errorf("%d orders of three", len(count))
	}
	for order, c := range count {
		if math.Abs(float64(c)-rounds/6) > 150 {
			t.Errorf("%v came %d times of %d", order, c, rounds)
		}
	}
}

func BenchmarkIntN(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		random.IntN(12)
	}
}
