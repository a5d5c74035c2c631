package host

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// reader reads one connection. Where the system can be asked without
// waiting, a buffer is taken only once there is something to read, so that
// idle connections hold none.
type reader struct {
	p      *Portable
	conn   *net.TCPConn
	raw    syscall.RawConn // nil: plain reads
	try    func(fd uintptr) bool
	meter  Meter         // nil: all is read
	resume chan struct{} // told when a hold may be over
	free   atomic.Bool   // the meter is asked no more

	// What try found.
	fr   *frame
	n    int
	err  error
	held bool
}

func (d *reader) init(p *Portable, conn *net.TCPConn) {
	d.p, d.conn = p, conn
	d.raw = p.raw(conn)
	d.try = d.ready
}

// measure has h asked before each read, if it is a Meter.
func (d *reader) measure(h StreamHandler) {
	if m, ok := h.(Meter); ok {
		d.meter = m
	}
}

// room is how much may be read now.
func (d *reader) room() int {
	if d.meter == nil || d.free.Load() {
		return readSize
	}
	return d.meter.Room(readSize)
}

// hold waits until the meter is to be asked again.
func (d *reader) hold() {
	d.meter.Held()
	if !d.free.Load() {
		<-d.resume
	}
}

// wake ends a hold.
func (d *reader) wake() {
	select {
	case d.resume <- struct{}{}:
	default:
	}
}

// release ends all holds for ever.
func (d *reader) release() {
	d.free.Store(true)
	d.wake()
}

// read waits for bytes. The caller gives the frame back, which is nil with
// an error.
func (d *reader) read() (fr *frame, n int, err error) {
	for {
		fr, n, err = d.readOnce()
		if !d.held {
			return fr, n, err
		}
		d.held = false
		d.hold()
	}
}

// readOnce waits for bytes, or for bytes that may not be read: then held is
// set.
func (d *reader) readOnce() (fr *frame, n int, err error) {
	if d.raw == nil {
		room := d.room()
		if room == 0 {
			d.held = true
			return nil, 0, nil
		}
		fr = d.p.frames.Get().(*frame)
		n, err = d.conn.Read(fr.buf[:room])
	} else {
		err = d.raw.Read(d.try)
		fr, n = d.fr, d.n
		if err == nil {
			err = d.err
		}
		if err == nil && n == 0 && !d.held {
			err = io.EOF
		}
		d.fr, d.err = nil, nil
	}
	if err != nil && fr != nil {
		d.p.frames.Put(fr)
		fr = nil
	}
	return fr, n, err
}

// ready is one attempt. It reports false when there is nothing to read yet.
func (d *reader) ready(fd uintptr) bool {
	room := d.room()
	if room == 0 {
		if d.held = bytesWait(fd); d.held {
			return true
		}
		room = 1 // the end, perhaps
	}
	fr := d.p.frames.Get().(*frame)
	n, err := tryRead(fd, fr.buf[:room])
	if again(err) {
		d.p.frames.Put(fr)
		return false
	}
	d.fr, d.n, d.err = fr, n, err
	return true
}

// writer makes attempts to write to one connection that never wait.
type writer struct {
	raw syscall.RawConn // nil: no attempts
	try func(fd uintptr) bool

	b   []byte
	n   int
	err error
}

func (w *writer) init(p *Portable, conn *net.TCPConn) {
	w.raw = p.raw(conn)
	w.try = w.attempt
}

// write hands as much of b to the system as it takes now.
func (w *writer) write(b []byte) (int, error) {
	if w.raw == nil {
		return 0, nil
	}
	w.b, w.n, w.err = b, 0, nil
	err := w.raw.Write(w.try)
	w.b = nil
	if err == nil && !again(w.err) {
		err = w.err
	}
	return max(w.n, 0), err
}

func (w *writer) attempt(fd uintptr) bool {
	w.n, w.err = tryWrite(fd, w.b)
	return true
}

// raw is the way to system calls on a socket, nil where there is none.
func (p *Portable) raw(c syscall.Conn) syscall.RawConn {
	if p.plain || !direct {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// failure puts the engine-independent reason before an error of the system.
func failure(err error) error {
	var timeout net.Error
	switch {
	case err == io.EOF:
		return io.EOF
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	case errors.Is(err, ErrUnreachable):
		return err
	case errors.Is(err, errnoRefused):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.Is(err, errnoReset), errors.Is(err, errnoPipe), errors.Is(err, errnoAborted):
		return fmt.Errorf("%w: %w", ErrReset, err)
	case errors.Is(err, errnoNoHost), errors.Is(err, errnoNoNet), errors.Is(err, errnoNoAddr), errors.Is(err, errnoNoFamily), errors.Is(err, errnoNoDevice):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return fmt.Errorf("host: %w", err)
}
