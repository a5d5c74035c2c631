package ntcp2

import (
	"encoding/binary"
	"errors"
	"time"

	"allium/internal/aesbatch"
	"allium/internal/data"
	"allium/internal/noise"
	"allium/internal/random"
	"allium/internal/x25519"
)

// Sizes in bytes.
const (
	keySize     = 32
	optionsSize = 16
	// sealedOptions is the size of the options frame of messages 1 and 2.
	sealedOptions = optionsSize + noise.Overhead
	// sealedKey is the size of the first frame of message 3.
	sealedKey = keySize + noise.Overhead

	// The padding of messages 1 and 2 that is taken: what the largest messages
	// have room for that any deployed router can read.
	maxRequestPadding = 880
	maxCreatedPadding = 848
	// handshakePadding is the most that is sent: Java recommends no more than
	// 64, and i2pd closes above 223. None is never sent, because routers
	// differ in whether they hash it.
	handshakePadding = 32
	// confirmedPadding is the most that is sent in message 3.
	confirmedPadding = 64
)

// version is the protocol version told in message 1.
const version = 2

var errTopBit = errors.New("top bit of ephemeral key set")

// machine is one side of a handshake, bytes in and bytes out. It is a chain of
// steps, and each step takes as many bytes of the peer as the one before it
// has fixed. A step that turns out to be needed for some peers only, such as
// one more frame before the options, is put between two others.
type machine interface {
	// need is how many bytes the next step takes.
	need() int
	// step takes these bytes, which it may write over, and gives a message to
	// be sent whole, or nil; with a message no byte of the peer may be there
	// that was not taken. When there is an error as well, the message is sent
	// before the session ends; the error wraps a *Termination when the peer
	// is to be told after that.
	step(now time.Time, b []byte) (message []byte, err error)
	// done tells that there are no more steps.
	done() bool
	// outcome is what the steps have found out so far.
	outcome() *outcome
}

// outcome is what is known at the end of a handshake.
type outcome struct {
	ri            *data.RouterInfo // of the peer
	skew          time.Duration    // how far the peer's clock is ahead
	send, receive secrets
}

// handshake is what both sides have in common.
type handshake struct {
	want int
	next func(now time.Time, b []byte) ([]byte, error)

	self        *Local
	noise       *noise.XK
	obfuscation *aesbatch.Key // Bob's router hash
	iv          [16]byte      // of the obfuscation, which goes on from X to Y
	padding     int           // how much our message 1 or 2 gets
	sent        time.Time     // when our first message was made
	found       outcome
}

// begin sets up what both sides begin with.
func (h *handshake) begin(self *Local, xk *noise.XK, obfuscation *aesbatch.Key, iv [16]byte) {
	h.self, h.noise, h.obfuscation, h.iv = self, xk, obfuscation, iv
	h.padding = 1 + random.IntN(handshakePadding)
}

func (h *handshake) need() int         { return h.want }
func (h *handshake) done() bool        { return h.next == nil }
func (h *handshake) outcome() *outcome { return &h.found }

func (h *handshake) step(now time.Time, b []byte) ([]byte, error) {
	next := h.next
	h.next = nil
	return next(now, b)
}

// then fixes the next step and how many bytes it takes.
func (h *handshake) then(want int, next func(now time.Time, b []byte) ([]byte, error)) {
	h.want, h.next = want, next
}

// thenPadding reads n bytes of clear padding, which the hash includes, and
// goes on with next. No padding must not be hashed.
func (h *handshake) thenPadding(now time.Time, n int, next func(now time.Time) ([]byte, error)) ([]byte, error) {
	if n == 0 {
		return next(now)
	}
	h.then(n, func(now time.Time, b []byte) ([]byte, error) {
		h.noise.MixHash(b)
		return next(now)
	})
	return nil, nil
}

// reveal takes the obfuscation off an ephemeral key. Half of all random bytes
// fail here, before any public-key operation.
func (h *handshake) reveal(b []byte) (key x25519.PublicKey, err error) {
	copy(key[:], b)
	aesbatch.DecryptCBC(h.obfuscation, &h.iv, key[:])
	switch {
	case key[keySize-1]&0x80 != 0:
		return key, errTopBit
	case key == x25519.PublicKey{}:
		return key, x25519.ErrLowOrder
	}
	return key, nil
}

// opening makes message 1 or 2: the obfuscated key, the sealed options, to
// which it adds the length of the padding and the time, and clear padding.
func (h *handshake) opening(now time.Time, key x25519.PublicKey, options [optionsSize]byte) []byte {
	binary.BigEndian.PutUint16(options[2:], uint16(h.padding))
	binary.BigEndian.PutUint32(options[8:], seconds(now))
	h.sent = now

	m := make([]byte, keySize, keySize+sealedOptions+h.padding)
	copy(m, key[:])
	aesbatch.EncryptCBC(h.obfuscation, &h.iv, m)
	m = h.noise.EncryptAndHash(m, options[:])
	m = append(m, make([]byte, h.padding)...)
	padding := m[keySize+sealedOptions:]
	random.Fill(padding)
	if h.padding > 0 {
		h.noise.MixHash(padding)
	}
	return m
}

// openOptions opens the options frame of message 1 or 2.
func (h *handshake) openOptions(b []byte) (options [optionsSize]byte, err error) {
	_, err = h.noise.DecryptAndHash(options[:0], b)
	return options, err
}

// finish derives the secrets of both directions and forgets the rest.
func (h *handshake) finish(alice bool) {
	ab, ba := dataPhase(&h.noise.State)
	if alice {
		h.found.send, h.found.receive = ab, ba
	} else {
		h.found.send, h.found.receive = ba, ab
	}
	*h.noise = noise.XK{}
}

// clockSkew notes how far the peer's clock is ahead, as it told after the
// time delay, and reports whether that is too much. Times are told in whole
// seconds.
func (h *handshake) clockSkew(now time.Time, told uint32, delay time.Duration) (tooMuch bool) {
	h.found.skew = time.Unix(int64(told), 0).Sub(now) + delay
	return isSkewed(h.found.skew)
}

func isSkewed(skew time.Duration) bool { return skew.Round(time.Second).Abs() > maxSkew }

// seconds is a time as it is told, rounded so that clocks do not seem late.
func seconds(t time.Time) uint32 { return uint32(t.Add(500 * time.Millisecond).Unix()) }
