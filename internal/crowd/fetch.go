package crowd

import (
	"bytes"
	"errors"
	"io"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/streaming"
)

// ErrNoPage reports a page that did not come in time.
var ErrNoPage = errors.New("crowd: no page")

// fetch is one attempt to get a page.
type fetch struct {
	site   *Site
	to     data.Hash
	stream *streaming.Stream
	asked  bool
	got    []byte
	over   bool
	done   func(r *host.Round, err error)
}

// Fetch asks for the page at to, once, for some time. done is called once.
func (s *Site) Fetch(to data.Hash, limit time.Duration, done func(r *host.Round, err error)) {
	f := &fetch{site: s, to: to, done: done}
	h := s.Node.host
	h.AfterFunc(limit, func(r *host.Round) { f.end(r, ErrNoPage) })
	h.Do(func(r *host.Round) {
		s.dest.Resolve(r, to, func(r *host.Round, err error) {
			switch {
			case f.over:
			case err != nil:
				f.end(r, err)
			default:
				f.open(r)
			}
		})
	})
}

// end ends it.
func (f *fetch) end(r *host.Round, err error) {
	if f.over {
		return
	}
	f.over = true
	if f.stream != nil {
		f.stream.Close(r)
	}
	f.done(r, err)
}

func (f *fetch) open(r *host.Round) {
	stream, err := f.site.streams.Open(r, f.to, 80, f.work)
	if err != nil {
		f.end(r, err)
		return
	}
	f.stream = stream
}

// work writes the request and reads the page.
func (f *fetch) work(r *host.Round) {
	if f.over || f.stream == nil {
		return
	}
	if !f.asked {
		n, _ := f.stream.Write(r, []byte("GET\n"))
		f.asked = n > 0
	}
	buf := make([]byte, 4096)
	for {
		n, err := f.stream.Read(r, buf)
		f.got = append(f.got, buf[:n]...)
		switch {
		case err == io.EOF && bytes.Equal(f.got, Page):
			f.end(r, nil)
			return
		case err != nil:
			f.end(r, err)
			return
		case n == 0:
			return
		}
	}
}

// Insist asks for the page at to until it comes: for so long at a time, and
// after a second again.
func (s *Site) Insist(to data.Hash, attempt time.Duration, came func(r *host.Round)) {
	s.Fetch(to, attempt, func(r *host.Round, err error) {
		if err == nil {
			came(r)
			return
		}
		s.Node.host.AfterFunc(time.Second, func(*host.Round) { s.Insist(to, attempt, came) })
	})
}
