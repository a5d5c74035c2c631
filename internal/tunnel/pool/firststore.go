package pool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/store"
	"allium/internal/wire"
)

// firstFormat is the first byte of a record of first hops. Others are dropped.
const firstFormat = 1

// errRecord reports a record that this version cannot read.
var errRecord = errors.New("pool: unreadable record")

// load reads the first hops of all contexts. Records it cannot read are
// dropped.
func (s *Selector) load() error {
	err := s.bucket.Each(func(key, value []byte) error {
		if len(key) != len(data.Hash{}) {
			return nil // nobody's
		}
		id := data.Hash(key)
		set, err := parseFirstHops(value)
		if err != nil || len(s.firsts) == maxFirsts {
			s.dirty[id] = struct{}{}
			return nil
		}
		s.firsts[id] = set
		return nil
	})
	if err != nil {
		return fmt.Errorf("pool: first hops: %w", err)
	}
	return nil
}

// Flush writes which first hops have changed since the last one. After an
// error, which is that of the bucket, everything is kept for the next. It
// waits for the disk.
func (s *Selector) Flush(now time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	changes, dirty := s.changes(now)
	if len(changes) == 0 {
		return nil
	}
	if err := s.bucket.Write(changes); err != nil {
		s.mu.Lock()
		maps.Copy(s.dirty, dirty)
		s.mu.Unlock()
		return fmt.Errorf("pool: first hops: %w", err)
	}
	return nil
}

// changes takes what is dirty, and what was not used for long.
func (s *Selector) changes(now time.Time) ([]store.Change, map[data.Hash]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, set := range s.firsts {
		if now.Sub(set.used) > firstUnused {
			delete(s.firsts, id)
			s.dirty[id] = struct{}{}
		}
	}
	dirty := s.dirty
	s.dirty = make(map[data.Hash]struct{})
	changes := make([]store.Change, 0, len(dirty))
	for id := range dirty {
		change := store.Change{Key: bytes.Clone(id[:])}
		if set := s.firsts[id]; set != nil {
			change.Value = set.append(nil)
		}
		changes = append(changes, change)
	}
	slices.SortFunc(changes, func(a, b store.Change) int { return bytes.Compare(a.Key, b.Key) })
	return changes, dirty
}

func (set *firstHops) append(b []byte) []byte {
	b = appendTime(append(b, firstFormat), set.used)
	b = append(b, byte(len(set.members)))
	for _, m := range set.members {
		b = append(b, m.hash[:]...)
		b = appendTime(b, m.until)
		b = appendTime(b, m.seen)
	}
	return b
}

func parseFirstHops(b []byte) (*firstHops, error) {
	r := wire.NewReader(b)
	known := r.Uint8() == firstFormat
	set := &firstHops{used: readTime(&r)}
	n := int(r.Uint8())
	if r.Err() != nil || !known || n > firstMost {
		return nil, errRecord
	}
	for range n {
		var m member
		r.Fill(m.hash[:])
		m.until, m.seen = readTime(&r), readTime(&r)
		set.members = append(set.members, m)
	}
	if r.Done() != nil {
		return nil, errRecord
	}
	return set, nil
}

// lastDate is the last millisecond of the year 9999.
const lastDate = 253402300799999

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMilli()))
}

func readTime(r *wire.Reader) time.Time {
	ms := r.Uint64()
	if ms > lastDate {
		r.Fail(errRecord)
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
