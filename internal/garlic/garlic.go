// Package garlic seals I2NP messages for one reader at the far end and opens
// what was sealed for us. Each message inside is a [Clove] with instructions
// for its delivery. What this package makes and takes is the data within an
// I2NP Garlic message, without the 4 bytes of size in front of it.
//
// There are three kinds of garlic:
//
//   - For a router, once and without telling who sent it: [SealRouter] and
//     [OpenRouter], Noise pattern N on the router's static key.
//   - As the answer to a request that told a key and a tag: [SealOnce]. Who
//     asked keeps the keys in a [Replies].
//   - Between two destinations that go on talking: ECIES-X25519-AEAD-Ratchet.
//     A [Sessions] holds the sessions of one destination with all its peers.
//
// A ratchet session begins with a New Session message (NS) from Alice, pattern
// IK, which Bob answers with one or more New Session Replies (NSR). Alice
// takes the first reply that reaches her and sends an Existing Session message
// (ES) on the keys it set up, and from then on both sides send ES: a tag of 8
// bytes and a payload under a key that serves once. Before the reply is there
// Alice may send more NS and Bob more NSR; each sets up keys of its own, and
// those that Alice did not take are dropped.
//
// Tags and keys come from tag sets, one for each direction. The receiver
// derives tags ahead of those it has seen, so that lost messages do no harm,
// and derives keys when a message needs them. After some thousand messages the
// two agree on a new tag set by exchanging NextKey blocks.
//
// The package sends nothing and has no timers. What must be said even if the
// application stays silent, such as the first ES, is what [Sessions.Due]
// tells.
package garlic

import "errors"

// Sizes in bytes.
const (
	// TagSize is the size of a session tag.
	TagSize = 8
	// NewSessionOverhead is what NS adds to its payload: ephemeral key 32,
	// static key 32 and code 16, code 16.
	NewSessionOverhead = 96
	// NewSessionReplyOverhead is what NSR adds to its payload: tag 8,
	// ephemeral key 32, code 16, code 16.
	NewSessionReplyOverhead = 72
	// ExistingSessionOverhead is what ES and one-time messages add: tag 8,
	// code 16.
	ExistingSessionOverhead = 24
	// RouterOverhead is what garlic to a router adds: ephemeral key 32, code
	// 16.
	RouterOverhead = 48
	// MaxPayload is the largest payload before encryption.
	MaxPayload = 65519

	keySize = 32
	macSize = 16
)

// Errors of opening and sealing.
var (
	// ErrUnknown reports a message that none of our keys opens: it belongs to
	// a session we do not have any more, or was changed, or is noise.
	ErrUnknown = errors.New("no key for this garlic message")
	// ErrMalformed reports a message too short to be any, or one that opened
	// but has a payload that is not allowed.
	ErrMalformed = errors.New("malformed garlic payload")
	// ErrReplayed reports a message that was opened before.
	ErrReplayed = errors.New("garlic message replayed")
	// ErrClock reports a message whose DateTime is more than 5 minutes old or
	// more than 2 minutes ahead.
	ErrClock = errors.New("garlic message too old or from the future")
	// ErrThrottled reports a New Session that was not looked into, because
	// too many came at once.
	ErrThrottled = errors.New("too many new garlic sessions")
	// ErrTooLarge reports cloves that are together larger than MaxPayload.
	ErrTooLarge = errors.New("garlic payload too large")
)
