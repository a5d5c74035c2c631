package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	// lockWait is how long Open waits for another process to let go of the
	// file: one that is just ending gets the time to.
	lockWait = time.Second

	// firstPages is how many pages a new file has, written at once. A shorter
	// file is one whose creator died at it.
	firstPages = 4

	// magicEnd is where in a file its magic ends.
	magicEnd = 20
)

// Open opens the store in the file at path, which is created, with mode 0600
// and the directories above it, if it is new. One process at a time can have
// it open; for others it is ErrLocked. A file that is not a store or no
// longer whole is ErrDamaged and left as it is.
func Open(path string) (Store, error) {
	b := &bolt{}
	err := b.guard(func() error { return b.open(path) })
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	return &store{b}, nil
}

// bolt is an engine on a bbolt file: a copy-on-write tree that a commit
// switches from one state to the next by writing one page.
type bolt struct {
	db *bbolt.DB

	// broken is set after a panic in bbolt, which may have kept its locks.
	broken atomic.Bool
}

func (b *bolt) open(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := inspect(path); err != nil {
		return err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      lockWait,
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		OpenFile:     openPrivate,
	})
	b.db = db
	return translate(err)
}

// magic is what marks the first page of a store, in the order of bytes that
// the machine has.
var magic = binary.NativeEndian.AppendUint32(nil, 0xed0cdaed)

// openPrivate opens a file and takes away what others may do with it.
func openPrivate(path string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// inspect looks at the file before it is opened for writing. bbolt trusts the
// length that its first pages tell, and a file cut short would fault. A file
// whose creation was cut short is removed.
func inspect(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a file", ErrDamaged)
	}
	pageSize, want, err := measure(path)
	if errors.Is(err, ErrLocked) {
		return err
	}
	// Whoever had it open before has finished or died.
	head, size, readErr := look(path)
	switch {
	case readErr != nil:
		return readErr
	case err == nil && size >= want:
		return nil
	case err == nil && want == firstPages*pageSize, // nothing was ever written
		err != nil && bytes.HasSuffix(head, magic) && size < 2*int64(os.Getpagesize()):
		return os.Remove(path)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	default:
		return fmt.Errorf("%w: %d bytes of %d", ErrDamaged, size, want)
	}
}

// measure gives the page size of a store and the length that it must have.
func measure(path string) (pageSize, want int64, err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		return 0, 0, translate(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		pageSize, want = int64(db.Info().PageSize), tx.Size()
		return nil
	})
	return pageSize, want, err
}

// look gives the beginning of a file, up to the end of where a store has its
// magic, and the file's length.
func look(path string) (head []byte, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	head, err = io.ReadAll(io.LimitReader(f, magicEnd))
	return head, info.Size(), err
}

// guard runs f, which calls into bbolt. A damaged file makes bbolt panic or
// read past the end of its memory map; both become ErrDamaged, and nothing
// is read or written any more.
func (b *bolt) guard(f func() error) (err error) {
	if b.broken.Load() {
		return ErrDamaged
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			b.broken.Store(true)
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

// view runs f on the bucket in a transaction that reads.
func (b *bolt) view(bucket string, f func(*bbolt.Bucket)) error {
	return b.guard(func() error {
		return translate(b.db.View(func(tx *bbolt.Tx) error {
			f(tx.Bucket([]byte(bucket)))
			return nil
		}))
	})
}

func (b *bolt) create(bucket string) error {
	found := false
	err := b.view(bucket, func(in *bbolt.Bucket) { found = in != nil })
	if err != nil || found {
		return err
	}
	return b.guard(func() error {
		return translate(b.db.Update(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucketIfNotExists([]byte(bucket))
			return err
		}))
	})
}

func (b *bolt) get(bucket string, key []byte) (value []byte, ok bool, err error) {
	err = b.view(bucket, func(from *bbolt.Bucket) {
		// The bytes are mapped from the file and lent for the transaction.
		if v := from.Get(key); v != nil {
			value, ok = clone(v), true
		}
	})
	return value, ok, err
}

func (b *bolt) page(bucket string, from []byte) (page, error) {
	var p page
	err := b.view(bucket, func(in *bbolt.Bucket) {
		c := in.Cursor()
		for k, v := c.Seek(from); k != nil && !p.full(); k, v = c.Next() {
			p.add(k, v)
		}
	})
	return p, err
}

func (b *bolt) write(bucket string, changes []Change) error {
	return b.guard(func() error {
		return translate(b.db.Update(func(tx *bbolt.Tx) error {
			to := tx.Bucket([]byte(bucket))
			for _, c := range changes {
				if err := apply(to, c); err != nil {
					return err
				}
			}
			return nil
		}))
	})
}

func apply(to *bbolt.Bucket, c Change) error {
	if c.Value == nil {
		return to.Delete(c.Key)
	}
	return to.Put(c.Key, c.Value)
}

func (b *bolt) close() error {
	if b.broken.Load() {
		// Closing waits for locks that may never be free again. The system
		// takes the file back when the process ends.
		return nil
	}
	return b.guard(b.db.Close)
}

// translate gives the errors of bbolt that mean something to a caller the
// names of this package.
func translate(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, bolterrors.ErrInvalid),
		errors.Is(err, bolterrors.ErrVersionMismatch),
		errors.Is(err, bolterrors.ErrChecksum):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}
