package store

import (
	"bytes"
	"slices"
	"sync"
)

// Memory makes a store that lives as long as it is used.
func Memory() Store {
	return &store{&memory{buckets: make(map[string][]entry)}}
}

// memory is an engine that keeps each bucket as a list in the order of its
// keys.
type memory struct {
	mu      sync.Mutex
	buckets map[string][]entry // nil when closed
}

// find is where key is in entries, or would be.
func find(entries []entry, key []byte) (int, bool) {
	return slices.BinarySearchFunc(entries, key, func(e entry, key []byte) int {
		return bytes.Compare(e.key, key)
	})
}

func (m *memory) create(bucket string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.buckets == nil {
		return ErrClosed
	}
	if _, ok := m.buckets[bucket]; !ok {
		m.buckets[bucket] = nil
	}
	return nil
}

func (m *memory) get(bucket string, key []byte) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.buckets == nil {
		return nil, false, ErrClosed
	}
	entries := m.buckets[bucket]
	i, ok := find(entries, key)
	if !ok {
		return nil, false, nil
	}
	return clone(entries[i].value), true, nil
}

func (m *memory) page(bucket string, from []byte) (page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var p page
	if m.buckets == nil {
		return p, ErrClosed
	}
	entries := m.buckets[bucket]
	for i, _ := find(entries, from); i < len(entries) && !p.full(); i++ {
		p.add(entries[i].key, entries[i].value)
	}
	return p, nil
}

func (m *memory) write(bucket string, changes []Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.buckets == nil {
		return ErrClosed
	}
	entries := m.buckets[bucket]
	for _, c := range changes {
		i, ok := find(entries, c.Key)
		switch {
		case c.Value == nil && ok:
			entries = slices.Delete(entries, i, i+1)
		case c.Value == nil:
		case ok:
			entries[i].value = clone(c.Value)
		default:
			entries = slices.Insert(entries, i, entry{bytes.Clone(c.Key), clone(c.Value)})
		}
	}
	m.buckets[bucket] = entries
	return nil
}

func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.buckets = nil
	return nil
}
