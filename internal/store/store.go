// Package store is the only door to the disk.
//
// A [Store] holds named buckets of keys and values, in one file that survives
// the death of the process at any moment ([Open]) or in memory ([Memory]). The
// two behave alike: what a bucket checks, copies and promises is written once,
// over a small engine that each of them provides.
//
// Files that other programs read or that people bring along are written whole
// ([WriteFile]) and read whole ([ReadFile], [Files]).
//
// What a call has returned nil for is on the disk, and what it has not is there
// as a whole or not at all. Nothing else is promised, so whoever must not lose
// something writes it before it is used.
//
// Calls wait for the disk; a write to a file takes some milliseconds, whatever
// its size. Write seldom, many changes at a time, and never inside a round.
package store

import (
	"bytes"
	"errors"
	"fmt"
)

// Errors of stores and files. Others are those of the system; a missing file
// is io/fs.ErrNotExist.
var (
	// ErrLocked reports that another process has the file open.
	ErrLocked = errors.New("in use by another process")
	// ErrDamaged reports a file that is no store, or no longer one.
	ErrDamaged = errors.New("damaged or not a store")
	// ErrClosed reports use after Close.
	ErrClosed = errors.New("closed")
	// ErrKey reports a key or a bucket's name that is empty or longer than
	// MaxKey.
	ErrKey = errors.New("key empty or too long")
	// ErrTooBig reports a value longer than MaxValue, or a file longer than
	// its reader allows.
	ErrTooBig = errors.New("too big")
)

const (
	// MaxKey is the length of the longest key in bytes.
	MaxKey = 1 << 10
	// MaxValue is the length of the longest value in bytes.
	MaxValue = 16 << 20
)

// Store is a set of buckets. It may be used by many goroutines at once.
type Store interface {
	// Bucket opens the bucket of that name, which is created if it is new.
	Bucket(name string) (Bucket, error)
	// Close ends the store after the calls under way. Later ones give
	// ErrClosed, except for Close itself.
	Close() error
}

// Bucket is a set of keys with a value each. It may be used by many
// goroutines at once. Slices given to it are not kept, and those it gives
// belong to the caller.
type Bucket interface {
	// Get returns the value of key; ok tells whether there is one. A value
	// may be empty.
	Get(key []byte) (value []byte, ok bool, err error)
	// Put sets the value of key. When it returns nil, the value is safe.
	Put(key, value []byte) error
	// Delete removes key, if it is there.
	Delete(key []byte) error
	// Each calls f for every key in the order of their bytes and stops at the
	// first error, which it returns. f may use the store. A key put or
	// deleted while Each is under way may be seen or not.
	Each(f func(key, value []byte) error) error
	// Write makes all changes, in their order, or none. When it returns nil,
	// they are safe.
	Write(changes []Change) error
}

// Change is one of the changes that a Write makes.
type Change struct {
	Key   []byte
	Value []byte // nil deletes the key, empty does not
}

// Each reads about this much at a time.
const (
	pageEntries = 256
	pageBytes   = 256 << 10
)

// engine keeps the entries. Its arguments have been checked; it keeps none of
// the slices it is given and gives away none of its own.
type engine interface {
	create(bucket string) error
	get(bucket string, key []byte) (value []byte, ok bool, err error)
	// page returns the entries from the first key that is not before from,
	// until there are no more or p.full.
	page(bucket string, from []byte) (page, error)
	write(bucket string, changes []Change) error
	close() error
}

// page is a run of entries in the order of their keys.
type page struct {
	entries []entry
	size    int
}

type entry struct {
	key, value []byte
}

// add appends a copy of an entry.
func (p *page) add(key, value []byte) {
	p.entries = append(p.entries, entry{bytes.Clone(key), clone(value)})
	p.size += len(key) + len(value)
}

func (p *page) full() bool {
	return len(p.entries) >= pageEntries || p.size >= pageBytes
}

// clone is a copy of value that is not nil even if value is.
func clone(value []byte) []byte {
	return append([]byte{}, value...)
}

// store is a Store over an engine.
type store struct {
	engine engine
}

// bucket is a Bucket over an engine.
type bucket struct {
	engine engine
	name   string
}

func (s *store) Bucket(name string) (Bucket, error) {
	if err := checkKey([]byte(name)); err != nil {
		return nil, fmt.Errorf("store: bucket %.40q: %w", name, err)
	}
	if err := s.engine.create(name); err != nil {
		return nil, fmt.Errorf("store: bucket %q: %w", name, err)
	}
	return &bucket{s.engine, name}, nil
}

func (s *store) Close() error {
	if err := s.engine.close(); err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

func (b *bucket) Get(key []byte) ([]byte, bool, error) {
	err := checkKey(key)
	if err != nil {
		return nil, false, b.wrap(err)
	}
	value, ok, err := b.engine.get(b.name, key)
	return value, ok, b.wrap(err)
}

func (b *bucket) Put(key, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	return b.Write([]Change{{Key: key, Value: value}})
}

func (b *bucket) Delete(key []byte) error {
	return b.Write([]Change{{Key: key}})
}

func (b *bucket) Each(f func(key, value []byte) error) error {
	var from []byte
	for {
		p, err := b.engine.page(b.name, from)
		if err != nil {
			return b.wrap(err)
		}
		if n := len(p.entries); n > 0 {
			// The first key after the last one: f may change that.
			from = append(bytes.Clone(p.entries[n-1].key), 0)
		}
		for _, e := range p.entries {
			if err := f(e.key, e.value); err != nil {
				return err
			}
		}
		if !p.full() {
			return nil
		}
	}
}

func (b *bucket) Write(changes []Change) error {
	for _, c := range changes {
		if err := checkKey(c.Key); err != nil {
			return b.wrap(err)
		}
		if len(c.Value) > MaxValue {
			return b.wrap(fmt.Errorf("%w: value of %d bytes", ErrTooBig, len(c.Value)))
		}
	}
	return b.wrap(b.engine.write(b.name, changes))
}

// wrap adds the place to an error that is not nil.
func (b *bucket) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: bucket %q: %w", b.name, err)
}

func checkKey(key []byte) error {
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("%w: %d bytes", ErrKey, len(key))
	}
	return nil
}
