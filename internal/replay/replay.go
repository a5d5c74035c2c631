// Package replay remembers which keys it has seen lately, so that a message
// recorded and sent again is told from a new one.
//
// A [Filter] is two Bloom filters, the present generation and the one before
// it. Keys enter the present one; when its life is over, it takes the place of
// the one before and an empty one begins. A key is remembered for one life at
// least, and rarely a new key is taken for an old one. Memory is bounded, and
// follows the traffic: a generation that fills grows by a layer twice as large
// as the last, and the next one begins with room for as many keys as this one
// had.
//
// Each key touches one cache line in each layer, of which there is one as a
// rule, and a secret SipHash key
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

	// overfill is how many times its capacity the last layer of a generation
	// takes before that ends early. Even then fewer than one of a thousand new
	// keys are taken for old ones.
	overfill = 2

	// firstKeys is what a filter is made for before it knows the traffic.
	firstKeys = 1 << 12

	blockWords = 8
	blockBits  = blockWords * 64
)

// block is one cache line of a generation. A key sets one or two bits in each
// of its words.
type block [blockWords]uint64

// generation holds the keys of one life.
type generation struct {
	layers []layer
	count  int // keys in all of them
	room   int // keys that all of them are made for
}

// layer is a Bloom filter made for so many keys.
type layer struct {
	blocks []block
	keys   int // it is made for
	count  int // it has
}

func newLayer(keys int) layer {
	return layer{blocks: make([]block, (keys*bitsPerKey+blockBits-1)/blockBits), keys: keys}
}

// Filter tells whether a key was seen lately. It may be used by many
// goroutines at once.
type Filter struct {
	life   time.Duration
	most   int    // keys a generation is made for at most
	k0, k1 uint64 // SipHash key

	mu       sync.Mutex
	start    time.Time // of the present generation
	present  generation
	previous generation
}

// New makes a filter that remembers keys for life, for at most capacity of
// them in that time. It takes ten bytes of memory for each that it has to
// remember.
func New(life time.Duration, capacity int) *Filter {
	f := &Filter{life: life, most: max(capacity, 1)}
	var key [16]byte
	rand.Read(key[:])
	f.k0, f.k1 = binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	f.present = f.begin(firstKeys)
	return f
}

// begin makes an empty generation for so many keys.
func (f *Filter) begin(keys int) generation {
	keys = min(max(keys, firstKeys), f.most)
	return generation{layers: []layer{newLayer(keys)}, room: keys}
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
	place := high >> 32
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
	inPrevious := f.previous.has(place, &mask)
	if f.present.has(place, &mask) {
		return true
	}
	f.present.add(place, &mask, f.most)
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
	case age < f.life && !f.present.full(f.most):
		return
	}
	spare := f.previous
	f.previous = f.present
	if spare.fits(min(max(f.previous.count, firstKeys), f.most)) {
		spare.clear()
		f.present = spare
	} else {
		f.present = f.begin(f.previous.count)
	}
	if age >= 2*f.life {
		f.previous.clear()
	}
	f.start = now
}

// fits tells whether the memory of the generation is right for so many keys:
// one layer, neither too small nor much too large.
func (g *generation) fits(keys int) bool {
	return len(g.layers) == 1 && g.room >= keys && g.room/4 <= keys
}

// has reports whether the key was added.
func (g *generation) has(place uint64, mask *block) bool {
	for i := range g.layers {
		l := &g.layers[i]
		if l.blocks[l.at(place)].has(mask) {
			return true
		}
	}
	return false
}

// add adds a key to the last layer, or to a new one when that is full and most
// allows for more.
func (g *generation) add(place uint64, mask *block, most int) {
	l := &g.layers[len(g.layers)-1]
	if l.count >= l.keys && g.room < most {
		keys := min(2*l.keys, most-g.room)
		g.layers = append(g.layers, newLayer(keys))
		g.room += keys
		l = &g.layers[len(g.layers)-1]
	}
	l.blocks[l.at(place)].add(mask)
	l.count++
	g.count++
}

// full reports whether the generation takes no more.
func (g *generation) full(most int) bool {
	l := &g.layers[len(g.layers)-1]
	return g.room >= most && l.count >= overfill*l.keys
}

// clear forgets all keys and keeps the memory.
func (g *generation) clear() {
	for i := range g.layers {
		clear(g.layers[i].blocks)
		g.layers[i].count = 0
	}
	g.count = 0
}

// at is where a key has its bits, by 32 bits of its hash.
func (l *layer) at(place uint64) uint64 { return place * uint64(len(l.blocks)) >> 32 }

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
