package garlic

import (
	"sync"
	"time"

	"allium/internal/noise"
)

// SealOnce seals cloves with a key and a tag that the reader made up and told
// us: tag 8, payload. It gives nil when the cloves are together larger than
// MaxPayload.
func SealOnce(key *[32]byte, tag [TagSize]byte, cloves ...Clove) []byte {
	size := cloveBytes(cloves)
	if size > MaxPayload {
		return nil
	}
	b := make([]byte, TagSize, ExistingSessionOverhead+size+blockHeaderSize+maxPadding)
	copy(b, tag[:])
	b = appendCloves(b, cloves)
	var l lengths
	b = l.appendPadding(b, TagSize)
	return noise.Seal(b[:TagSize], key, 0, b[:TagSize], b[TagSize:])
}

// maxReplies is how many keys a Replies keeps. A router asks a few hundred
// questions at once at most.
const maxReplies = 4096

// Replies keeps the keys under which answers are expected: lookups and tunnel
// builds that asked for SealOnce. A key serves once. There is one Replies for
// each context that must not mix with others, such as a destination. It may
// be used by several goroutines.
type Replies struct {
	mu   sync.Mutex
	keys map[[TagSize]byte]onceKey
	// order has the tags in the order they were expected, with the tags of
	// answers that came. Lives differ little, so the oldest is dropped first.
	order [][TagSize]byte
}

type onceKey struct {
	key     [32]byte
	expires time.Time
}

// NewReplies expects nothing yet.
func NewReplies() *Replies {
	return &Replies{keys: make(map[[TagSize]byte]onceKey)}
}

// Expect keeps key and tag for life. When 4096 are kept, the oldest goes.
func (r *Replies) Expect(now time.Time, key [32]byte, tag [TagSize]byte, life time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	if _, again := r.keys[tag]; !again {
		r.order = append(r.order, tag)
	}
	r.keys[tag] = onceKey{key, now.Add(life)}
}

// forget makes room for one more at the end of order.
func (r *Replies) forget(now time.Time) {
	for len(r.order) > 0 {
		oldest, ok := r.keys[r.order[0]]
		if ok && now.Before(oldest.expires) && len(r.order) < maxReplies {
			return
		}
		delete(r.keys, r.order[0])
		r.order = r.order[1:]
	}
}

// Open opens an answer. It reports false, with body untouched, for a tag that
// is not expected; body is spoilt when the tag is right and the rest is not,
// and the tag is then still expected. The cloves' bodies point into body.
func (r *Replies) Open(now time.Time, body []byte) ([]Clove, bool) {
	if len(body) < ExistingSessionOverhead {
		return nil, false
	}
	tag := [TagSize]byte(body)
	r.mu.Lock()
	once, ok := r.keys[tag]
	r.mu.Unlock()
	if !ok || !now.Before(once.expires) {
		return nil, false
	}
	plain, err := noise.Open(body[TagSize:TagSize], &once.key, 0, tag[:], body[TagSize:])
	if err != nil {
		return nil, false
	}
	r.mu.Lock()
	_, ok = r.keys[tag]
	delete(r.keys, tag)
	r.mu.Unlock()
	var p payload
	if !ok || p.parse(plain) != nil {
		return nil, false
	}
	return p.cloves, true
}

// Len is how many answers are expected.
func (r *Replies) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.keys)
}
