package naming

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"allium/internal/data"
	"allium/internal/store"
)

// List is one of the lists of a Book, in the order in which they are asked.
type List uint8

const (
	// Private names are the user's and never shown to others.
	Private List = iota
	// Local names are the user's as well.
	Local
	// Subscribed names come from hosts.txt files.
	Subscribed
	lists
)

// maxNames is how many names each list may have, at some 500 bytes each.
const maxNames = 50_000

// Book is an address book. It is kept in memory, and in a bucket whose keys
// are a letter for the list and then the name. It is safe for concurrent use.
type Book struct {
	bucket store.Bucket
	// writing lets one write to the bucket follow another, in the order of the
	// changes. Lookup does not wait for it.
	writing sync.Mutex

	mu sync.RWMutex
	// names are the bytes of Destinations, which take less room than parsed.
	names [lists]map[string][]byte
}

// prefixes are the letters of the lists in the bucket.
var prefixes = [lists]byte{Private: 'p', Local: 'l', Subscribed: 's'}

// New loads what the bucket holds. Records that are no names or no
// Destinations are passed over. Errors are those of the bucket.
func New(bucket store.Bucket) (*Book, error) {
	b := &Book{bucket: bucket}
	for l := range b.names {
		b.names[l] = make(map[string][]byte)
	}
	err := bucket.Each(func(key, value []byte) error {
		b.load(key, value)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("naming: load: %w", err)
	}
	return b, nil
}

func (b *Book) load(key, value []byte) {
	l := bytes.IndexByte(prefixes[:], key[0])
	name := string(key[1:])
	normal, err := Normalize(name)
	if l < 0 || err != nil || normal != name || len(b.names[l]) == maxNames {
		return
	}
	if _, err := data.ParseDestination(value); err == nil {
		b.names[l][name] = value
	}
}

func record(l List, name string) []byte { return append([]byte{prefixes[l]}, name...) }

// Lookup finds a host name, in letters of either case and with or without
// ".alt", in the first list that has it.
func (b *Book) Lookup(name string) (*data.Destination, bool) {
	name, err := Normalize(name)
	if err != nil {
		return nil, false
	}
	raw := b.find(name)
	if raw == nil {
		return nil, false
	}
	d, err := data.ParseDestination(raw)
	return d, err == nil
}

func (b *Book) find(name string) []byte {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, list := range b.names {
		if raw := list[name]; raw != nil {
			return raw
		}
	}
	return nil
}

// Add puts a name into a list. A name that the list has already is replaced,
// except in Subscribed, where that is ErrTaken. It fails with ErrName, with
// ErrFull, or as the bucket does, and then the list stays as it was. It waits
// for the disk.
func (b *Book) Add(l List, name string, d *data.Destination) error {
	name, err := Normalize(name)
	if err != nil {
		return err
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	have, full := b.has(l, name)
	switch {
	case bytes.Equal(have, d.Bytes()):
		return nil
	case have != nil && l == Subscribed:
		return fmt.Errorf("%w: %s", ErrTaken, name)
	case have == nil && full:
		return ErrFull
	}
	if err := b.bucket.Put(record(l, name), d.Bytes()); err != nil {
		return fmt.Errorf("naming: add: %w", err)
	}
	b.set(l, name, d.Bytes())
	return nil
}

// has is what a list has under a name, and whether there is room for no more.
func (b *Book) has(l List, name string) (raw []byte, full bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.names[l][name], len(b.names[l]) >= maxNames
}

func (b *Book) set(l List, name string, raw []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if raw == nil {
		delete(b.names[l], name)
		return
	}
	b.names[l][name] = raw
}

// Remove takes a name out of a list and reports whether it was there. It
// fails as the bucket does, and waits for the disk.
func (b *Book) Remove(l List, name string) (bool, error) {
	name, err := Normalize(name)
	if err != nil {
		return false, nil
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	if have, _ := b.has(l, name); have == nil {
		return false, nil
	}
	if err := b.bucket.Delete(record(l, name)); err != nil {
		return false, fmt.Errorf("naming: remove: %w", err)
	}
	b.set(l, name, nil)
	return true, nil
}

// Merged is what became of the lines of a hosts.txt file.
type Merged struct {
	Added    int // names nobody had
	Known    int // names with the Destination that some list has
	Conflict int // names with another Destination, which were left alone
	Bad      int // lines that could not be read
	Dropped  int // names for which there was no room
	// FirstBad is the error of the first bad line.
	FirstBad error
}

// Merge adds the names of a hosts.txt file to Subscribed, except those that
// any list has already; of several in the file the first counts. All are
// written as one batch. It fails as the bucket does, and then nothing is
// added. It waits for the disk.
func (b *Book) Merge(text []byte) (Merged, error) {
	b.writing.Lock()
	defer b.writing.Unlock()
	var m Merged
	added := make(map[string][]byte)
	room := maxNames - b.Len(Subscribed)
	var changes []store.Change
	for e, err := range ParseHosts(text) {
		if err != nil {
			if m.Bad++; m.FirstBad == nil {
				m.FirstBad = err
			}
			continue
		}
		have := b.find(e.Name)
		if have == nil {
			have = added[e.Name]
		}
		switch raw := e.Destination.Bytes(); {
		case bytes.Equal(have, raw):
			m.Known++
		case have != nil:
			m.Conflict++
		case len(added) >= room:
			m.Dropped++
		default:
			added[e.Name] = raw
			changes = append(changes, store.Change{Key: record(Subscribed, e.Name), Value: raw})
		}
	}
	m.Added = len(added)
	if m.Added == 0 {
		return m, nil
	}
	if err := b.bucket.Write(changes); err != nil {
		return Merged{}, fmt.Errorf("naming: merge: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(b.names[Subscribed], added)
	return m, nil
}

// Len is how many names a list has.
func (b *Book) Len(l List) int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.names[l])
}

// All yields the names of a list, as it is when the loop begins, in the order
// of the alphabet.
func (b *Book) All(l List) iter.Seq2[string, *data.Destination] {
	return func(yield func(string, *data.Destination) bool) {
		b.mu.RLock()
		list := maps.Clone(b.names[l])
		b.mu.RUnlock()
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if d, err := data.ParseDestination(list[name]); err == nil && !yield(name, d) {
				return
			}
		}
	}
}
