package garlic

import "time"

// How many tags a receiver knows ahead of the newest it has seen. A sender
// that loses a longer run of messages cannot be understood any more, so the
// window grows with use.
const (
	replyAhead  = 12  // of the replies to a New Session
	minAhead    = 24  // of a fresh session
	startAhead  = 512 // at most, of a tag set that follows another
	maxTagAhead = 800
	// maxBehind is how far behind the newest message a late one may be.
	maxBehind = 512
)

// receiveSet is a tag set we receive on. It belongs to a session or, for the
// replies to a New Session of ours, to its opening.
type receiveSet struct {
	chain
	id      int
	next    [32]byte // root key of the tag set after it
	session *session
	opening *opening

	// ring holds the tags of the messages first to tags-1 at their number
	// modulo its size, a power of two; zero stands for one that is used up.
	ring    []uint64
	first   int
	highest int // newest message received, -1 before the first
	start   int // how many tags it was known ahead in the beginning
	// skipped are keys of messages that did not come yet, though later did.
	skipped map[int][32]byte
	// expires is set when another tag set has taken over.
	expires time.Time
}

// ahead is the size of the window as it should be.
func (s *receiveSet) ahead() int {
	if s.opening != nil {
		return replyAhead
	}
	return min(maxTagAhead, s.start+s.highest+1)
}

// wanted is how many tags should be derived in all.
func (s *receiveSet) wanted() int { return min(s.highest+1+s.ahead(), maxTags) }

// keyAt is the key of message n, whose tag is in the table. Keys passed over
// are kept.
func (s *receiveSet) keyAt(n int) [32]byte {
	if n < s.keys {
		return s.skipped[n]
	}
	for s.keys < n {
		i := s.keys
		s.keepKey(i, s.key())
	}
	return s.key()
}

// keepKey keeps a key for later, unless its message came already.
func (s *receiveSet) keepKey(n int, key [32]byte) {
	if n < s.first || s.ring[n&(len(s.ring)-1)] == 0 {
		return
	}
	if s.skipped == nil {
		s.skipped = make(map[int][32]byte)
	}
	s.skipped[n] = key
}

// tagTable finds the tag set and the number of a message by its tag.
type tagTable struct {
	refs map[uint64]tagRef
	max  int
}

type tagRef struct {
	set *receiveSet
	n   int
}

func newTagTable(limit int) tagTable {
	return tagTable{refs: make(map[uint64]tagRef), max: limit}
}

// find gives no set for a tag that is unknown or whose set has expired.
func (t *tagTable) find(now time.Time, tag uint64) (*receiveSet, int) {
	ref := t.refs[tag]
	if ref.set == nil || !ref.set.expires.IsZero() && now.After(ref.set.expires) {
		return nil, 0
	}
	return ref.set, ref.n
}

// extend derives tags of set until its window is full or the table is.
func (t *tagTable) extend(set *receiveSet) {
	for wanted := set.wanted(); set.tags < wanted && len(t.refs) < t.max; {
		if set.tags-set.first == len(set.ring) {
			set.growRing()
		}
		n := set.tags
		tag := set.tag()
		if _, taken := t.refs[tag]; taken {
			tag = 0
		}
		set.ring[n&(len(set.ring)-1)] = tag
		if tag != 0 {
			t.refs[tag] = tagRef{set, n}
		}
	}
}

func (s *receiveSet) growRing() {
	const smallest = 16
	ring := make([]uint64, max(smallest, 2*len(s.ring)))
	for n := s.first; n < s.tags; n++ {
		ring[n&(len(ring)-1)] = s.ring[n&(len(s.ring)-1)]
	}
	s.ring = ring
}

// consume takes message n out of the table, and with it those that are too
// far behind.
func (t *tagTable) consume(set *receiveSet, n int) {
	t.remove(set, n)
	set.highest = max(set.highest, n)
	for set.first < set.tags &&
		(set.first < set.highest-maxBehind || set.ring[set.first&(len(set.ring)-1)] == 0) {
		t.remove(set, set.first)
		set.first++
	}
}

func (t *tagTable) remove(set *receiveSet, n int) {
	slot := &set.ring[n&(len(set.ring)-1)]
	if *slot != 0 {
		delete(t.refs, *slot)
		*slot = 0
	}
	delete(set.skipped, n)
}

// drop takes all of set out of the table. A nil set is none.
func (t *tagTable) drop(set *receiveSet) {
	if set == nil {
		return
	}
	for ; set.first < set.tags; set.first++ {
		t.remove(set, set.first)
	}
}
