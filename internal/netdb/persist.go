package netdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"allium/internal/data"
	"allium/internal/store"
)

// metSize is what follows a RouterInfo in its record if we had a session with
// the router: when, in seconds since 1970.
const metSize = 8

// load takes the RouterInfos from the bucket, whose keys are the hashes.
func (d *DB) load() error {
	err := d.bucket.Each(func(key, value []byte) error {
		if len(key) != len(data.Hash{}) {
			return nil
		}
		h := data.Hash(key)
		ri, met, err := d.parseStored(h, value)
		if err != nil || len(d.sorted) >= d.cfg.MaxRouters {
			d.dirty[h] = struct{}{} // to be deleted
			return nil
		}
		d.put(ri, claimsOf(ri))
		r := d.routers[h]
		r.met = met
		r.mark()
		delete(d.dirty, h)
		return nil
	})
	if err != nil {
		return fmt.Errorf("netdb: load: %w", err)
	}
	d.flushed = len(d.sorted)
	return nil
}

// parseStored reads a record, and checks it as far as no clock is needed.
func (d *DB) parseStored(h data.Hash, b []byte) (ri *data.RouterInfo, met time.Time, err error) {
	if ri, err = data.ParseRouterInfo(b); err != nil && len(b) > metSize {
		end := len(b) - metSize
		met = time.Unix(int64(binary.BigEndian.Uint64(b[end:])), 0)
		ri, err = data.ParseRouterInfo(b[:end])
	}
	if err != nil {
		return nil, met, err
	}
	if ri.Hash() != h {
		return nil, met, ErrName
	}
	if err := d.check(ri); err != nil {
		return nil, met, err
	}
	return ri, met, ri.Verify()
}

// record is what the bucket has of a router.
func (r *router) record() []byte {
	b := r.info.Load().Bytes()
	if r.met.IsZero() {
		return b
	}
	return binary.BigEndian.AppendUint64(slices.Clip(b), uint64(r.met.Unix()))
}

// staleAfter is how much older a record may be than what we know of a router
// that is otherwise the same: so much old, all are still good at the next start,
// and most of what is heard need not be written.
const staleAfter = 2 * time.Hour

// worthSaving tells whether news of a router have to be written. The lock is
// held.
func (r *router) worthSaving(news *data.RouterInfo, claims []claim) bool {
	return !r.written || news.Published().Sub(r.saved) >= staleAfter ||
		news.Caps() != r.info.Load().Caps() || !slices.Equal(r.claims, claims)
}

// mark notes that the bucket has a router as it is. The lock is held.
func (r *router) mark() { r.written, r.saved = true, r.info.Load().Published() }

// Grown tells that we know of more than a tenth more routers than at the last
// Flush, or when the bucket was loaded: it would be a pity to lose them.
func (d *DB) Grown() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return (len(d.sorted)-d.flushed)*10 > d.flushed
}

// Flush writes what has changed since the last one to the bucket, as one
// batch. After an error, which is that of the bucket, everything is kept for
// the next. It waits for the disk.
func (d *DB) Flush() error {
	d.writing.Lock()
	defer d.writing.Unlock()
	changes, dirty := d.changes()
	if len(changes) == 0 {
		return nil
	}
	if err := d.bucket.Write(changes); err != nil {
		d.mu.Lock()
		maps.Copy(d.dirty, dirty)
		d.mu.Unlock()
		return fmt.Errorf("netdb: flush: %w", err)
	}
	return nil
}

// changes takes what is dirty.
func (d *DB) changes() ([]store.Change, map[data.Hash]struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dirty := d.dirty
	d.dirty = make(map[data.Hash]struct{})
	d.flushed = len(d.sorted)
	changes := make([]store.Change, 0, len(dirty))
	for h := range dirty {
		change := store.Change{Key: bytes.Clone(h[:])}
		if r := d.routers[h]; r != nil {
			change.Value = r.record()
			r.mark() // if not yet, then soon
		}
		changes = append(changes, change)
	}
	slices.SortFunc(changes, func(a, b store.Change) int { return bytes.Compare(a.Key, b.Key) })
	return changes, dirty
}

// Why a file is refused by Import, besides the reasons of AddRouter.
var (
	// ErrName reports a file named after another router.
	ErrName = errors.New("netdb: named after another router")
	// ErrUnreadable reports a file that no RouterInfo is.
	ErrUnreadable = errors.New("netdb: not a router info")
)

// reasons are all of those, in the order that Imported lists them.
var reasons = []error{
	ErrUnreadable, ErrName, data.ErrSignature, ErrExpired, ErrFuture,
	ErrNetID, ErrVersion, ErrKeys, ErrNoAddress, ErrDuplicate, ErrSelf, ErrFull,
}

// Imported is what became of many files.
type Imported struct {
	Added   int // new, or newer than what we had
	Known   int // not newer
	Refused []Refusal
}

// Refusal counts the files refused for one reason, an error of this package
// or data.ErrSignature.
type Refusal struct {
	Reason error
	Count  int
}

// Import takes RouterInfos from files, a reseed bundle or the netDb folder of
// another router, as pairs of the file's name and its bytes. A name of the
// usual form "routerInfo-<hash>.dat" must be that of its router; others, with
// or without folders, say nothing.
func (d *DB) Import(now time.Time, files iter.Seq2[string, []byte]) Imported {
	var all Imported
	counts := make([]int, len(reasons))
	for name, b := range files {
		switch added, err := d.importFile(now, name, b); {
		case err != nil:
			counts[slices.IndexFunc(reasons, func(r error) bool { return errors.Is(err, r) })]++
		case added == Known:
			all.Known++
		default:
			all.Added++
		}
	}
	for i, n := range counts {
		if n > 0 {
			all.Refused = append(all.Refused, Refusal{reasons[i], n})
		}
	}
	return all
}

func (d *DB) importFile(now time.Time, name string, b []byte) (Added, error) {
	ri, err := data.ParseRouterInfo(b)
	if err != nil {
		return Known, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	if strings.HasPrefix(name, "routerInfo-") && name != "routerInfo-"+ri.Hash().String()+".dat" {
		return Known, ErrName
	}
	return d.AddRouter(now, ri)
}
