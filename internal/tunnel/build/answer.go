package build

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/noise"
	"allium/internal/tunnel"
	"allium/internal/x25519"
)

// What a hop does with a request that is no good. ErrDrop and ErrRefuse are
// the two things to do; each of the others is one of them.
var (
	// ErrDrop reports a request to be dropped without an answer: no honest
	// router makes it, or nobody waits for the answer any more.
	ErrDrop = errors.New("drop the request")
	// ErrRefuse reports a request to be answered with Refuse.
	ErrRefuse = errors.New("refuse the request")

	// ErrNotOurs reports that no record is for us.
	ErrNotOurs = fmt.Errorf("%w: no record is ours", ErrDrop)
	// ErrSealed reports that our record does not open.
	ErrSealed = fmt.Errorf("%w: record does not open", ErrDrop)
	// ErrBothEnds reports a hop that is to be gateway and endpoint.
	ErrBothEnds = fmt.Errorf("%w: gateway and endpoint", ErrDrop)
	// ErrTunnelID reports a tunnel ID of zero.
	ErrTunnelID = fmt.Errorf("%w: tunnel ID zero", ErrDrop)
	// ErrNextHop reports a next hop that is nobody or ourselves.
	ErrNextHop = fmt.Errorf("%w: next hop", ErrDrop)
	// ErrPreviousHop reports a previous hop that is unknown, ourselves, or
	// the next one as well.
	ErrPreviousHop = fmt.Errorf("%w: previous hop", ErrDrop)
	// ErrOld reports a request made more than eight minutes ago.
	ErrOld = fmt.Errorf("%w: too old", ErrDrop)
	// ErrFuture reports a request made more than five minutes ahead.
	ErrFuture = fmt.Errorf("%w: from the future", ErrDrop)
	// ErrLayerType reports an unknown cipher for the tunnel.
	ErrLayerType = fmt.Errorf("%w: layer type", ErrRefuse)
)

// MaxAge is how old a request may be, and so how long its ReplayKey must be
// remembered.
const MaxAge = 8 * time.Minute

// maxFuture is how far ahead the clock of a creator may be.
const maxFuture = 5 * time.Minute

// Request is a record that was for us.
type Request struct {
	RequestRecord
	index int
	keys  keys
}

// Find looks for the record that begins like our hash, the cheap part of Open.
// It fails with ErrNotOurs.
func Find(self data.Hash, records i2np.ShortTunnelBuild) (index int, err error) {
	for i := range records.Count() {
		if bytes.Equal(records.Record(i)[:prefixSize], self[:prefixSize]) {
			return i, nil
		}
	}
	return 0, ErrNotOurs
}

// Open finds our record and opens it with our static key pair: one
// Diffie-Hellman, so not in a round. It leaves the records as they are. All
// its errors are ErrDrop.
func Open(self data.Hash, static *x25519.KeyPair, records i2np.ShortTunnelBuild) (*Request, error) {
	index, err := Find(self, records)
	if err != nil {
		return nil, err
	}
	b := records.Record(index)
	ephemeral := x25519.PublicKey(b[ephemeralAt:sealedAt])
	state, err := noise.OpenN(noise.TunnelN(), static, &ephemeral)
	if err != nil {
		return nil, fmt.Errorf("build: %w: %w", ErrSealed, err)
	}
	plain, err := state.DecryptAndHash(make([]byte, 0, requestSize), b[sealedAt:])
	if err != nil {
		return nil, fmt.Errorf("build: %w: %w", ErrSealed, err)
	}
	q := &Request{index: index}
	if q.RequestRecord, err = parseRequest((*[requestSize]byte)(plain)); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	q.keys = derive(&state, q.Role)
	return q, nil
}

// Validate checks what can be seen from the request alone: self is our hash,
// from the router it came from, or the zero hash when it came out of a tunnel.
// The error is one of those above, ErrDrop or ErrRefuse all of them. What is
// left to the caller: that the request came before (ReplayKey), that Receive
// is in use (refuse), and whether we want the tunnel.
func (q *Request) Validate(now time.Time, from, self data.Hash) error {
	// The creator rounded down to the minute; do the same before comparing.
	age := time.Duration(now.Unix()/minute-q.Time.Unix()/minute) * time.Minute
	switch {
	case q.Receive == 0 || q.Next == 0:
		return ErrTunnelID
	case q.NextRouter.IsZero():
		return ErrNextHop
	case q.NextRouter == self && q.Role != OutboundEndpoint:
		// An endpoint may be the gateway of the tunnel the answers go to.
		return ErrNextHop
	case q.Role != InboundGateway && (from.IsZero() || from == self):
		return ErrPreviousHop
	case q.Role == Participant && from == q.NextRouter:
		return ErrPreviousHop
	case age > MaxAge:
		return ErrOld
	case age < -maxFuture:
		return ErrFuture
	case q.LayerType != layerAES:
		return ErrLayerType
	}
	return nil
}

// Answer replaces our record by the answer and changes the others, in place;
// records are those given to Open. The message goes on to NextRouter under
// NextMessageID, refused or not:
//
//   - from an InboundGateway or Participant as ShortTunnelBuild;
//   - from an OutboundEndpoint as OutboundTunnelBuildReply in a TunnelGateway
//     message for tunnel Next, in between as a garlic message under ReplyKey
//     unless NextRouter is the endpoint itself.
func (q *Request) Answer(records i2np.ShortTunnelBuild, code Code) {
	ReplyRecord{Code: code}.seal(records, q.index, &q.keys)
	for i := range records.Count() {
		if i != q.index {
			q.keys.whiten(records, i)
		}
	}
}

// Keys are the layer keys of the tunnel.
func (q *Request) Keys() tunnel.Keys { return q.keys.tunnel }

// ReplyKey is the key and tag of the garlic message an OutboundEndpoint wraps
// the answers in. They are zero for other roles.
func (q *Request) ReplyKey() (key [32]byte, tag [8]byte) {
	return q.keys.replyKey, q.keys.replyTag
}

// ReplayKey is what differs between any two requests: a hop that sees it twice
// within MaxAge drops the second.
func (q *Request) ReplayKey() [32]byte { return q.keys.stream }
