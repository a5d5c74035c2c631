package replay_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/replay"
)

const life = 10 * time.Minute

var begin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func key(i int) []byte {
	return binary.BigEndian.AppendUint64([]byte("12345678"), uint64(i))
}

func TestKeyIsRememberedForItsLife(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	// Wherever in a generation a key arrives, it lasts one life at least and
	// two at most.
	for _, offset := range []time.Duration{0, 1, life / 2, life - 1} {
		f := replay.New(life, 1000)
		f.Seen(begin, key(0))
		added := begin.Add(offset)
		if f.Seen(added, key(1)) {
			t.Errorf("offset %v: a new key was seen", offset)
		}
		// Time goes on with other keys.
		for i, now := 0, added; now.Before(added.Add(life)); now = now.Add(life / 8) {
			i++
			if f.Seen(now, key(100+i)) {
				t.Errorf("offset %v: another key was seen", offset)
			}
		}
		if !f.Seen(added.Add(life), key(1)) {
			t.Errorf("offset %v: forgotten within its life", offset)
		}
	}
}

func TestKeyIsForgottenAfterTwoLives(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 2)
	quiet := replay.New(life, 1000)
	quiet.Seen(begin, key(1))
	if quiet.Seen(begin.Add(2*life), key(1)) {
		t.Error("still seen after two quiet lives")
	}
	busy := replay.New(life, 1000)
	busy.Seen(begin, key(1))
	busy.Seen(begin.Add(life), key(2))
	if busy.Seen(begin.Add(2*life), key(1)) {
		t.Error("still seen after two busy lives")
	}
	if !busy.Seen(begin.Add(2*life), key(2)) {
		t.Error("the later key is gone as well")
	}
}

func TestRepeatedKeyStaysSeen(t *testing.T) {
	f := replay.New(life, 1000)
	f.Seen(begin, key(1))
	for i := 1; i < 20; i++ {
		if !f.Seen(begin.Add(time.Duration(i)*life), key(1)) {
			t.Fatalf("forgotten at repetition %d", i)
		}
	}
}

func TestClockPutBackKeepsTheFilterTurning(t *testing.T) {
	f := replay.New(life, 1000)
	f.Seen(begin, key(1))
	back := begin.Add(-24 * time.Hour)
	if !f.Seen(back, key(1)) {
		t.Error("forgotten when the clock was put back")
	}
	if !f.Seen(back.Add(life-1), key(1)) {
		t.Error("forgotten within its life")
	}
	f.Seen(back.Add(life), key(2))
	if f.Seen(back.Add(2*life), key(1)) {
		t.Error("still seen two lives later")
	}
}

func TestNewKeysAreRarelySeen(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 3)
	const capacity = 100_000
	f := replay.New(life, capacity)
	wrong := 0
	for i := range 5 * capacity {
		now := begin.Add(time.Duration(i/capacity) * life)
		if f.Seen(now, key(i)) {
			wrong++
		}
	}
	// About half of one is expected.
	if wrong > 4 {
		t.Errorf("%d of %d new keys were seen", wrong, 5*capacity)
	}
}

func TestFloodDoesNotMakeEverythingSeen(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 4)
	const capacity, flood = 10_000, 20 * 10_000
	f := replay.New(life, capacity)
	wrong := 0
	for i := range flood {
		if f.Seen(begin, key(i)) {
			wrong++
		}
		if !f.Seen(begin, key(i)) {
			t.Fatalf("key %d was not added", i)
		}
	}
	if wrong > flood/1000 {
		t.Errorf("%d of %d new keys were seen", wrong, flood)
	}
	// The last of them are remembered all the same.
	for i := flood - capacity; i < flood; i++ {
		if !f.Seen(begin, key(i)) {
			t.Fatalf("key %d of %d is forgotten", i, flood)
		}
	}
}

func TestFiltersHaveSecretsOfTheirOwn(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 5)
	// A filter this small errs often; with one secret, two would err on the
	// same keys.
	var wrong [2][]int
	for i := range wrong {
		f := replay.New(life, 12)
		for k := range 100_000 {
			if f.Seen(begin, key(k)) {
				wrong[i] = append(wrong[i], k)
			}
		}
	}
	if len(wrong[0]) == 0 || slices.Equal(wrong[0], wrong[1]) {
		t.Errorf("the filters erred on %v and %v", wrong[0], wrong[1])
	}
}

func TestEachKeyIsNewToOneGoroutine(t *testing.T) {
	f := replay.New(life, 100_000)
	var fresh atomic.Int64
	var wg sync.WaitGroup
	const keys = 5000
	for range 4 {
		wg.Go(func() {
			for i := range keys {
				if !f.Seen(begin, key(i)) {
					fresh.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := fresh.Load(); n < keys-1 || n > keys {
		t.Errorf("%d keys were new %d times", keys, n)
	}
}

func TestSeenAllocatesNothing(t *testing.T) {
	f := replay.New(life, 1000)
	k, now := key(0), begin
	n := testing.AllocsPerRun(1000, func() {
		now = now.Add(life / 100)
		k[0]++
		f.Seen(now, k)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSeen(b *testing.B) {
	for _, capacity := range []int{50_000, 1_000_000} {
		b.Run(fmt.Sprint(capacity), func(b *testing.B) {
			f := replay.New(life, capacity)
			var k [16]byte
			rand.Read(k[:])
			n := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				n++
				binary.LittleEndian.PutUint64(k[:], n)
				f.Seen(begin, k[:])
			}
		})
	}
}

func TestGrowingForgetsNothing(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 9)
	const keys = 60_000 // far more than a new filter has room for
	f := replay.New(life, 1<<20)
	mistaken := 0
	for i := range keys {
		if f.Seen(begin, key(i)) {
			mistaken++
		}
	}
	if mistaken > 3 {
		t.Errorf("%d of %d new keys were seen", mistaken, keys)
	}
	for _, now := range []time.Time{begin, begin.Add(life)} {
		for i := range keys {
			if !f.Seen(now, key(i)) {
				t.Fatalf("key %d forgotten after %v", i, now.Sub(begin))
			}
		}
	}
}
