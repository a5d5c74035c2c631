package su3

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Limits of a bundle. Real ones hold some 75 RouterInfos of about 1 KB.
const (
	// MaxBundle is how long a zip may be; servers' files stay under 1 MiB.
	MaxBundle = 1 << 20
	// MaxEntries is how many files may be in it.
	MaxEntries = 1000
	// MaxEntry is how long a RouterInfo may be; what routers accept ends at
	// 4 KiB at the latest.
	MaxEntry = 4 << 10
	// MaxTotal is how long all RouterInfos may be together.
	MaxTotal = 2 << 20
)

// Errors of bundles.
var (
	// ErrBundle reports content that is not a zip, or an entry that cannot be
	// unpacked.
	ErrBundle = errors.New("su3: bad bundle")
	// ErrLimit reports a bundle beyond one of the limits.
	ErrLimit = errors.New("su3: bundle too large")
)

// Entry is one RouterInfo of a bundle.
type Entry struct {
	// Name is the name of the file: EntryName of the router's hash. It must
	// be compared to the hash of what Bytes holds.
	Name string
	// Bytes is the RouterInfo, not looked at.
	Bytes []byte
}

const (
	entryPrefix = "routerInfo-"
	entrySuffix = ".dat"
)

// base64I2P is base64 with "-" and "~" in the last two places.
var base64I2P = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~").Strict()

// EntryName is the name that a router's RouterInfo has in a bundle:
// "routerInfo-", the 44 letters of its hash in I2P's base64, ".dat".
func EntryName(hash [32]byte) string {
	return entryPrefix + base64I2P.EncodeToString(hash[:]) + entrySuffix
}

// isEntryName tells whether name is an EntryName.
func isEntryName(name string) bool {
	if len(name) != len(entryPrefix)+44+len(entrySuffix) || !strings.HasPrefix(name, entryPrefix) || !strings.HasSuffix(name, entrySuffix) {
		return false
	}
	hash, err := base64I2P.DecodeString(name[len(entryPrefix) : len(name)-len(entrySuffix)])
	return err == nil && len(hash) == 32
}

// Bundle lists the RouterInfos in the zip that a reseed file has for content,
// in the order of the zip. Files of other names are passed over, and so are
// later files of a name already seen. Errors wrap ErrBundle or ErrLimit.
func Bundle(content []byte) ([]Entry, error) {
	if len(content) > MaxBundle {
		return nil, fmt.Errorf("%w: zip of %d bytes", ErrLimit, len(content))
	}
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if len(archive.File) > MaxEntries {
		return nil, fmt.Errorf("%w: %d files", ErrLimit, len(archive.File))
	}
	var entries []Entry
	total := 0
	seen := make(map[string]bool, len(archive.File))
	for _, file := range archive.File {
		if !isEntryName(file.Name) || seen[file.Name] {
			continue
		}
		seen[file.Name] = true
		b, err := unpack(file)
		if err != nil {
			return nil, fmt.Errorf("%w (%s)", err, file.Name)
		}
		if total += len(b); total > MaxTotal {
			return nil, fmt.Errorf("%w: more than %d bytes unpacked", ErrLimit, MaxTotal)
		}
		entries = append(entries, Entry{Name: file.Name, Bytes: b})
	}
	return entries, nil
}

// unpack reads one file of a zip, no further than MaxEntry whatever length
// the zip claims. The packed length has a limit as well: a zip may list the
// same bytes under many names, and bytes can be packed so as to unpack to
// nothing.
func unpack(file *zip.File) ([]byte, error) {
	if file.UncompressedSize64 > MaxEntry || file.CompressedSize64 > 2*MaxEntry {
		return nil, fmt.Errorf("%w: entry of %d bytes, packed %d", ErrLimit, file.UncompressedSize64, file.CompressedSize64)
	}
	r, err := file.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, MaxEntry+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	case len(b) > MaxEntry:
		return nil, fmt.Errorf("%w: entry of more than %d bytes", ErrLimit, MaxEntry)
	}
	return b, nil
}

// Pack makes the zip of a bundle, with modified as the time of its files. The
// same arguments make the same bytes. It returns ErrBundle for a Name that no
// EntryName is, and ErrLimit for what Bundle would refuse.
func Pack(entries []Entry, modified time.Time) ([]byte, error) {
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	total := 0
	for _, e := range entries {
		if !isEntryName(e.Name) {
			return nil, fmt.Errorf("%w: file named %q", ErrBundle, e.Name)
		}
		if total += len(e.Bytes); len(e.Bytes) > MaxEntry || total > MaxTotal || len(entries) > MaxEntries {
			return nil, fmt.Errorf("%w: at %s", ErrLimit, e.Name)
		}
		header := &zip.FileHeader{Name: e.Name, Method: zip.Deflate, Modified: modified.UTC()}
		w, err := archive.CreateHeader(header)
		if err == nil {
			_, err = w.Write(e.Bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBundle, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if b.Len() > MaxBundle {
		return nil, fmt.Errorf("%w: zip of %d bytes", ErrLimit, b.Len())
	}
	return b.Bytes(), nil
}
