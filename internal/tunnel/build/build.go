// Package build asks routers to be hops of a tunnel, and answers such requests.
//
// One message goes along the hops of the tunnel to be. It holds records of
// fixed size in random order, one for each hop, sealed to the hop's key, and
// some that are nobody's. Each hop finds its own by the first bytes of its
// hash, opens it, puts its answer in its place, and changes all other records
// with a key stream that only it and the creator know; the creator has undone
// those changes beforehand, so that each record is in the clear just where it
// is due. Behind the last hop the message goes back to the creator, who takes
// the layers off and reads the answers. No hop learns its position, the length
// of the tunnel, or what the others said.
//
//   - The creator describes the tunnel as a [Path], calls [Create], sends what
//     it gives as a ShortTunnelBuild message, and calls [Build.Open] when the
//     records come back.
//   - A hop calls [Open] and [Request.Validate], decides, and replaces the
//     record with [Request.Answer].
//
// The sealing is Noise N; its chaining key yields the keys of the answer and
// of the tunnel itself, so that no key is ever sent.
//
// This is the short form of build records, ShortTunnelBuild and
// OutboundTunnelBuildReply, that all routers of today use. The long form,
// VariableTunnelBuild, is out of scope: it is neither created nor answered.
// The garlic message around what passes through other tunnels is the business
// of package garlic; its keys come from here.
package build

import (
	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/noise"
	"allium/internal/tunnel"
	"allium/internal/x25519"
)

// Where the parts of a sealed request begin, and the sizes of things in bytes.
const (
	recordSize = i2np.ShortRecordSize
	maxRecords = i2np.MaxBuildRecords

	prefixSize  = 16 // of the hash of the hop
	ephemeralAt = prefixSize
	sealedAt    = ephemeralAt + 32

	requestSize = recordSize - sealedAt - noise.Overhead // 154
	replySize   = recordSize - noise.Overhead            // 202
)

// Role is what a hop is asked to be.
type Role uint8

// The roles. The gateway of an outbound tunnel and the endpoint of an inbound
// one are the creator's own.
const (
	Participant      Role = iota // passes tunnel messages on
	InboundGateway               // takes I2NP messages from anyone into the tunnel
	OutboundEndpoint             // hands I2NP messages on to anyone
)

// String says it in a word or two.
func (r Role) String() string {
	switch r {
	case InboundGateway:
		return "inbound gateway"
	case OutboundEndpoint:
		return "outbound endpoint"
	}
	return "participant"
}

// MarshalText is String.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Code is the answer of a hop. Zero is yes, all others are no.
type Code uint8

// The answers that are given today.
const (
	Accept Code = 0
	Refuse Code = 30
)

// keys is all that creator and hop derive from one request.
type keys struct {
	tunnel tunnel.Keys
	stream [32]byte // of the key stream over other records, and of the reply
	hash   [32]byte // bound to the reply as associated data

	// Of the garlic message around the answers, of an outbound endpoint.
	replyKey [32]byte
	replyTag [8]byte
}

// derive takes the keys from the state after the request was sealed or opened.
// The chain is one step longer for an outbound endpoint, whether or not its
// garlic keys are used, and that changes its IV key.
func derive(s *noise.State, role Role) keys {
	k := keys{hash: s.H}
	ck := s.CK
	var out [64]byte
	step := func(label string) (left, right [32]byte) {
		noise.HKDF(&ck, nil, label, out[:])
		ck = [32]byte(out[:32])
		return ck, [32]byte(out[32:])
	}
	_, k.stream = step("SMTunnelReplyKey")
	k.tunnel.IV, k.tunnel.Layer = step("SMTunnelLayerKey")
	if role == OutboundEndpoint {
		_, k.tunnel.IV = step("TunnelLayerIVKey")
		tag, key := step("RGarlicKeyAndTag")
		k.replyTag, k.replyKey = [8]byte(tag[:8]), key
	}
	return k
}

// whiten applies the key stream to the record at index. Doing it twice undoes
// it.
func (k *keys) whiten(records i2np.ShortTunnelBuild, index int) {
	nonce := [12]byte{4: byte(index)}
	b := records.Record(index)[:]
	noise.ChaCha20XOR(b, b, &k.stream, &nonce)
}

// address writes the part of a record that its recipient finds it by, and the
// key it opens it with.
func address(b *[recordSize]byte, hop *data.Hash, ephemeral *x25519.PublicKey) {
	copy(b[:prefixSize], hop[:])
	copy(b[ephemeralAt:sealedAt], ephemeral[:])
}
