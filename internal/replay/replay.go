// Package replay remembers which keys it has seen lately, so that a message
// recorded and sent again is told from a new one.
//
// A [Filter] is two Bloom filters, the present generation and the one before
// it. Keys enter the present one; when its life is over, it takes the place of
// the one before and an empty one begins. Memory is fixed, a
// key is remembered for one life at least, and rarely a new key is taken for an
// old one.
//
// Each key touches one cache line in each generation, and a secret SipHash key
// chooses which of its bits, so nobody outside can craft keys that collide.
package replay

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"github.com/dchest/siphash"
)

const (
	// bitsPerKey makes one false positive of half a million keys when both
	// generations are full; it would be a fifth of that at 48 bits and seven
	// times it at 32.
	bitsPerKey = 40

	// overfill is how many times its capacity a generation takes before it
	// ends early. Even then fewer than one of a thousand new keys are taken
	// for old ones.
	overfill = 2

	blockWords = 8
	blockBits  = blockWords * 64
)

// block is one cache line of a generation. A key sets one or two bits in each
// of its words.
type block [blockWords]uint64

// Filter tells whether a key was seen lately. It may be used by many
// goroutines at once.
type Filter struct {
	life   time.Duration
	most   int    // keys in one generation
	k0, k1 uint64 // SipHash key
	blocks uint64 // in one generation

	mu       sync.Mutex
	start    time.Time // of the present generation
	count    int       // keys in it
	present  []block
	previous []block
}

// New makes a filter that remembers keys for life, sized for capacity of them
// in that time. It takes ten bytes of memory for each.
func New(life time.Duration, capacity int) *Filter {
	capacity = max(capacity, 1)
	blocks := (uint64(capacity)*bitsPerKey + blockBits - 1) / blockBits
	var key [16]byte
	rand.Read(key[:])
	return &Filter{
		life:     life,
		most:     capacity * overfill,
		k0:       binary.LittleEndian.Uint64(key[:8]),
		k1:       binary.LittleEndian.Uint64(key[8:]),
		blocks:   blocks,
		present:  make([]block, blocks),
		previous: make([]block, blocks),
	}
}

// Seen adds key, which may have any length, and reports whether it was there
// already: true if it was added within the last life, and perhaps up to twice
// as long ago.
//
// It is also true for about one new key of half a million. When more keys come
// than the filter was made for, it errs more often, up to one of a thousand at
// twice as many; when still more come it forgets keys before their time
// instead, so that a flood cannot make it refuse everything.
func (f *Filter) Seen(now time.Time, key []byte) bool {
	// Of 128 bits, 32 choose the block and 96 the bits in it.
	high, low := siphash.Hash128(f.k0, f.k1, key)
	at := high >> 32 * f.blocks >> 32
	high &= 1<<32 - 1
	var mask block
	for w := range mask {
		mask[w] = 1<<(low&63) | 1<<(low>>6&63)
		low = low>>12 | high<<52
		high >>= 12
	}

	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn(now)
	inPrevious := f.previous[at].has(&mask)
	if f.present[at].has(&mask) {
		return true
	}
	f.present[at].add(&mask)
	f.count++
	return inPrevious
}

// turn begins a new generation when the present one is over.
func (f *Filter) turn(now time.Time) {
	age := now.Sub(f.start)
	switch {
	case age < 0:
		// The clock was put back. The generation counts from here, so that
		// it does not last until the old time comes again.
		f.start = now
		return
	case age < f.life && f.count < f.most:
		return
	}
	f.present, f.previous = f.previous, f.present
	clear(f.present)
	if age >= 2*f.life {
		clear(f.previous)
	}
	f.start, f.count = now, 0
}

// has reports whether all bits of mask are set.
func (b *block) has(mask *block) bool {
	var missing uint64
	for w := range b {
		missing |= mask[w] &^ b[w]
	}
	return missing == 0
}

// add sets all bits of mask.
func (b *block) add(mask *block) {
	for w := range b {
		b[w] |= mask[w]
	}
}
