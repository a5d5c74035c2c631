package hosttest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"allium/internal/host"
)

// measured is a recorder that is a Meter: it reads as much as it may.
type measured struct {
	*recorder
	may  int
	held int
}

// Room implements host.Meter.
func (m *measured) Room(n int) (room int) {
	m.with(func() { room = min(n, m.may) })
	return room
}

// Held implements host.Meter.
func (m *measured) Held() { m.with(func() { m.held++ }) }

// Data implements host.StreamHandler.
func (m *measured) Data(r *host.Round, b []byte) {
	m.with(func() { m.may -= len(b) })
	m.recorder.Data(r, b)
}

// allow lets n more bytes be read.
func (m *measured) allow(n int) {
	m.with(func() { m.may += n })
	m.stream.Resume()
}

func (m *measured) isHeld() (yes bool) {
	m.with(func() { yes = m.held > 0 })
	return yes
}

// measure makes a connection whose dialling end, which comes first, is a Meter
// that may read n bytes.
func (p *Pair) measure(t *testing.T, n int) (*measured, *recorder) {
	t.Helper()
	s := p.listen(t)
	m := &measured{recorder: &recorder{}, may: n}
	m.with(func() { m.stream = p.A.DialTCP(p.AddrA, s.listener.Addr(), m) })
	p.wait(t, "the connection stood", func() bool { return m.isOpen() && s.first() != nil })
	return m, s.first()
}

func metered(t *testing.T, p *Pair) {
	const first, more = 1000, 500
	m, far := p.measure(t, first)
	sent := pattern(100_000)
	far.stream.Write(sent)
	p.wait(t, "it was held", func() bool { return m.received() == first && m.isHeld() })
	p.Settle()
	m.stream.Resume() // which changes nothing
	p.Settle()
	if n := m.received(); n != first {
		t.Errorf("%d bytes were read", n)
	}
	m.allow(more)
	p.wait(t, "more was read", func() bool { return m.received() == first+more })
	p.Settle()
	if n := m.received(); n != first+more {
		t.Errorf("%d bytes were read", n)
	}
	m.allow(len(sent))
	p.wait(t, "all was read", func() bool { return m.received() == len(sent) })
	m.with(func() {
		if !bytes.Equal(m.data, sent) {
			t.Error("other bytes than those sent")
		}
	})
	m.sound(t)
}

// heldEnds ends streams of which nothing is read, on either side, and leaves
// one to the engine.
func heldEnds(t *testing.T, p *Pair) {
	m, far := p.measure(t, 0)
	far.stream.Write(pattern(1000))
	p.wait(t, "it was held", m.isHeld)
	m.stream.Close()
	p.wait(t, "both ends were closed", func() bool { return m.isClosed() && far.isClosed() })
	if err := m.reason(); !errors.Is(err, host.ErrClosed) || m.received() != 0 {
		t.Errorf("this side was told %v after %d bytes", err, m.received())
	}

	m, far = p.measure(t, 0)
	far.stream.Write(pattern(1000))
	p.wait(t, "it was held", m.isHeld)
	far.stream.Close()
	m.allow(2000)
	p.wait(t, "the end was read", m.isClosed)
	if err := m.reason(); err != io.EOF || m.received() != 1000 {
		t.Errorf("this side was told %v after %d bytes", err, m.received())
	}

	m, far = p.measure(t, 0)
	far.stream.Write(pattern(1000))
	p.wait(t, "it was held", m.isHeld)
}
