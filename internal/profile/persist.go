package profile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/store"
	"allium/internal/wire"
)

// storeKey is a key in the bucket: a letter for the kind of record, then the
// hash of the peer.
type storeKey [1 + len(data.Hash{})]byte

// The kinds of records.
const (
	peerRecord = 'p'
	banRecord  = 'b'
)

// peerFormat and banFormat are the first bytes of the records. Others, such as
// peers in format 1 that did not know of delays and proof, are dropped.
const (
	peerFormat = 2
	banFormat  = 1
)

// errRecord reports a record that this version cannot read or has no room for.
var errRecord = errors.New("profile: unreadable record")

func peerKey(h data.Hash) storeKey { return newKey(peerRecord, h) }
func banKey(h data.Hash) storeKey  { return newKey(banRecord, h) }

func newKey(kind byte, h data.Hash) (key storeKey) {
	key[0] = kind
	copy(key[1:], h[:])
	return key
}

func (p *Profiles) load() error {
	err := p.bucket.Each(func(key, value []byte) error {
		if p.loadRecord(key, value) != nil && len(key) == len(storeKey{}) {
			p.dirty[storeKey(key)] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("profile: load: %w", err)
	}
	p.flushed = len(p.peers)
	return nil
}

func (p *Profiles) loadRecord(key, value []byte) error {
	if len(key) != len(storeKey{}) {
		return errRecord
	}
	h := data.Hash(key[1:])
	switch key[0] {
	case peerRecord:
		of, err := parsePeer(value)
		if err != nil || len(p.peers) == maxPeers {
			return errRecord
		}
		p.peers[h] = of
	case banRecord:
		b, err := parseBan(value)
		if err != nil || len(p.bans) == maxBans {
			return errRecord
		}
		p.bans[h] = b
	default:
		return errRecord
	}
	return nil
}

// Grown tells that we remember more than a tenth more peers than at the last
// Flush, or when the bucket was loaded.
func (p *Profiles) Grown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return (len(p.peers)-p.flushed)*10 > p.flushed
}

// Flush writes what has changed since the last one, as one batch. After an
// error, which is that of the bucket, everything is kept for the next. It
// waits for the disk.
func (p *Profiles) Flush() error {
	p.writing.Lock()
	defer p.writing.Unlock()
	changes, dirty := p.changes()
	if len(changes) == 0 {
		return nil
	}
	if err := p.bucket.Write(changes); err != nil {
		p.mu.Lock()
		maps.Copy(p.dirty, dirty)
		p.mu.Unlock()
		return fmt.Errorf("profile: flush: %w", err)
	}
	return nil
}

// changes takes what is dirty.
func (p *Profiles) changes() ([]store.Change, map[storeKey]struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	dirty := p.dirty
	p.dirty = make(map[storeKey]struct{})
	p.flushed = len(p.peers)
	changes := make([]store.Change, 0, len(dirty))
	for key := range dirty {
		change := store.Change{Key: bytes.Clone(key[:])}
		h := data.Hash(key[1:])
		if of, ok := p.peers[h]; ok && key[0] == peerRecord {
			change.Value = of.append(nil)
		}
		if b, ok := p.bans[h]; ok && key[0] == banRecord {
			change.Value = b.append(nil)
		}
		changes = append(changes, change)
	}
	slices.SortFunc(changes, func(a, b store.Change) int { return bytes.Compare(a.Key, b.Key) })
	return changes, dirty
}

func (of *peer) append(b []byte) []byte {
	b = append(b, peerFormat)
	b = appendTime(b, of.seen)
	for _, v := range of.fading() {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(*v))
	}
	b = appendTime(b, of.met)
	b = appendTime(b, of.proven)
	b = append(b, of.refusal)
	for _, p := range of.patience {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(p.blame))
		b = append(b, p.pauses)
		b = appendTime(b, p.last)
		b = appendTime(b, p.until)
	}
	return b
}

// fading is all that fades, in the order of the record.
func (of *peer) fading() (all [events + 3]*float32) {
	for e := range of.counts {
		all[e] = &of.counts[e]
	}
	copy(all[events:], []*float32{&of.delays, &of.delayed, &of.pace})
	return all
}

func parsePeer(b []byte) (*peer, error) {
	r := wire.NewReader(b)
	of := new(peer)
	known := r.Uint8() == peerFormat
	of.seen = readTime(&r)
	for _, v := range of.fading() {
		*v = math.Float32frombits(r.Uint32())
		known = known && *v >= 0 && *v <= math.MaxFloat32 // and no NaN
	}
	of.met, of.proven = readTime(&r), readTime(&r)
	of.refusal = r.Uint8()
	for i := range of.patience {
		p := &of.patience[i]
		p.blame, p.pauses = math.Float32frombits(r.Uint32()), r.Uint8()
		p.last, p.until = readTime(&r), readTime(&r)
		known = known && p.blame >= 0 && p.blame < limits[i].blame && p.pauses < maxPauses
	}
	if r.Done() != nil || !known {
		return nil, errRecord
	}
	return of, nil
}

// maxPauses is more than it takes to reach the longest pause.
const maxPauses = 16

func (b ban) append(to []byte) []byte {
	to = appendTime(append(to, banFormat), b.until)
	return append(to, b.reason...)
}

func parseBan(b []byte) (ban, error) {
	r := wire.NewReader(b)
	known := r.Uint8() == banFormat
	until := readTime(&r)
	if r.Err() != nil || !known || r.Len() > maxReason {
		return ban{}, errRecord
	}
	return ban{until, string(r.Rest())}, nil
}

// lastDate is the last millisecond of the year 9999.
const lastDate = 253402300799999

// appendTime writes milliseconds. The zero time is zero.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMilli()))
}

func readTime(r *wire.Reader) time.Time {
	ms := r.Uint64()
	if ms > lastDate {
		r.Fail(errRecord)
	}
	if ms == 0 || r.Err() != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// sortedKeys are the keys of m in order.
func sortedKeys[V any](m map[data.Hash]V) []data.Hash {
	return slices.SortedFunc(maps.Keys(m), data.Hash.Compare)
}
