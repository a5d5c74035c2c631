package i2np

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

const (
	// MaxRouterInfo is the largest RouterInfo, not compressed, that routers
	// take from each other, in bytes.
	MaxRouterInfo = 3072

	// maxCompressed bounds the work an Inflater does. Nothing of
	// MaxRouterInfo bytes needs as many to be compressed.
	maxCompressed = 4096
)

// Inflater decompresses the RouterInfos of DatabaseStore messages. The zero
// value is ready; one that is kept keeps its 40 KB of tables and allocates no
// more. It is not safe for concurrent use.
type Inflater struct {
	gzip   gzip.Reader
	source bytes.Reader
	out    [MaxRouterInfo + 1]byte
}

// InflateRouterInfo appends what has been compressed with gzip. It fails with
// ErrRouterInfoSize when that is more than MaxRouterInfo bytes, having done no
// more work than they need, and with ErrMalformed when it is not the whole of
// a gzip member.
func (f *Inflater) InflateRouterInfo(dst, compressed []byte) ([]byte, error) {
	if len(compressed) > maxCompressed {
		return dst, fmt.Errorf("i2np: inflate: %w: %d bytes compressed", ErrRouterInfoSize, len(compressed))
	}
	f.source.Reset(compressed)
	defer f.source.Reset(nil)
	if err := f.gzip.Reset(&f.source); err != nil {
		return dst, fmt.Errorf("i2np: inflate: %w: %w", ErrMalformed, err)
	}
	f.gzip.Multistream(false)
	for n := 0; n < len(f.out); {
		k, err := f.gzip.Read(f.out[n:])
		n += k
		switch {
		case err == io.EOF && n <= MaxRouterInfo:
			return append(dst, f.out[:n]...), nil
		case err != nil && err != io.EOF:
			return dst, fmt.Errorf("i2np: inflate: %w: %w", ErrMalformed, err)
		}
	}
	return dst, fmt.Errorf("i2np: inflate: %w: more than %d bytes", ErrRouterInfoSize, MaxRouterInfo)
}

// Deflater compresses RouterInfos for DatabaseStore messages. The zero value
// is ready; one that is kept keeps its 800 KB of tables and allocates no more.
// It is not safe for concurrent use.
type Deflater struct {
	gzip *gzip.Writer
	out  appender
}

// DeflateRouterInfo appends a RouterInfo compressed with gzip. Its header is
// the one all routers use, so that it does not tell which router made it. It
// fails with ErrRouterInfoSize for more than MaxRouterInfo bytes.
func (d *Deflater) DeflateRouterInfo(dst, routerInfo []byte) ([]byte, error) {
	if len(routerInfo) > MaxRouterInfo {
		return dst, fmt.Errorf("i2np: deflate: %w: %d bytes", ErrRouterInfoSize, len(routerInfo))
	}
	d.out.b = dst
	defer func() { d.out.b = nil }()
	if err := d.reset(); err != nil {
		return dst, fmt.Errorf("i2np: deflate: %w", err)
	}
	if _, err := d.gzip.Write(routerInfo); err != nil {
		return dst, fmt.Errorf("i2np: deflate: %w", err)
	}
	if err := d.gzip.Close(); err != nil {
		return dst, fmt.Errorf("i2np: deflate: %w", err)
	}
	return d.out.b, nil
}

// reset readies the writer. The level is part of the header, in its ninth
// byte.
func (d *Deflater) reset() (err error) {
	if d.gzip == nil {
		d.gzip, err = gzip.NewWriterLevel(&d.out, gzip.BestCompression)
		return err
	}
	d.gzip.Reset(&d.out)
	return nil
}

// appender is a writer to a slice, which never fails.
type appender struct{ b []byte }

// Write appends.
func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
