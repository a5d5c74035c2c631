package ntcp2

import (
	"net/netip"
	"time"

	"allium/internal/aesbatch"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/noise"
	"allium/internal/replay"
)

// Sizes that tests count with.
const (
	FixedSize = keySize + sealedOptions
	MaxFrame  = maxFrame
)

// Machine is one side of a handshake for tests that join two of them.
type Machine struct {
	machine
	shared *handshake
}

// NewAlice is the side that dials the first NTCP2 address of peer.
func NewAlice(self *Local, peer *data.RouterInfo) Machine {
	to, _ := peer.Addresses()[0].AddrPort()
	static, iv, ok := published(peer, to)
	if !ok {
		panic("no NTCP2 address")
	}
	a := newInitiator(self, replay.New(replayLife, 100), peer, static, iv)
	return Machine{a, &a.handshake}
}

// NewBob is the side that is dialled from remote.
func NewBob(self *Local, replays *replay.Filter, remote netip.AddrPort) Machine {
	b := newResponder(self, aesbatch.NewKey((*[32]byte)(&self.Hash)), replays, remote)
	return Machine{b, &b.handshake}
}

// Need, Step and Done are those of the machine.
func (m Machine) Need() int                                          { return m.need() }
func (m Machine) Done() bool                                         { return m.done() }
func (m Machine) Step(now time.Time, b []byte) (out []byte, e error) { return m.step(now, b) }

// Pad changes how much padding message 1 or 2 gets.
func (m Machine) Pad(n int) { m.shared.padding = n }

// Secrets are the keys of both directions, one after the other.
func (m Machine) Secrets() (send, receive string) {
	o := m.outcome()
	return string(append(o.send.key[:], o.send.sip[:24]...)), string(append(o.receive.key[:], o.receive.sip[:24]...))
}

// Skew is how far the peer's clock was found to be ahead.
func (m Machine) Skew() time.Duration { return m.outcome().skew }

// PeerInfo is the peer's RouterInfo.
func (m Machine) PeerInfo() *data.RouterInfo { return m.outcome().ri }

// Frames is both ends of one direction of the data phase.
type Frames struct {
	in   receiver
	out  *noise.Cipher
	mask mask
}

// NewFrames makes both ends with the same keys.
func NewFrames(key, sip [32]byte) *Frames {
	s := secrets{key: key, sip: sip}
	return &Frames{in: newReceiver(&s), out: noise.NewCipher(&s.key), mask: newMask(&s.sip)}
}

// Seal appends a frame of blocks.
func (f *Frames) Seal(dst, blocks []byte) []byte {
	b := &batch{buf: dst}
	b.open()
	b.buf = append(b.buf, blocks...)
	b.frames[0].end = len(b.buf)
	b.buf = append(b.buf, make([]byte, noise.Overhead)...)
	b.seal(f.out, &f.mask)
	return b.buf
}

// Next opens the next frame.
func (f *Frames) Next(b []byte) (payload, rest []byte, ok bool, err error) { return f.in.next(b) }

// Inject has the session send blocks as they are.
func (s *Session) Inject(r *host.Round, blocks []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.control = blocks
	s.markDirty(r)
}

// What Bob does with message 3.
var (
	ConfirmedBlocks = confirmedBlocks
	Admit           = admit
)

// Masks gives the first n masks of lengths.
func Masks(sip [32]byte, n int) (all []uint16) {
	m := newMask(&sip)
	for range n {
		all = append(all, m.next())
	}
	return all
}
