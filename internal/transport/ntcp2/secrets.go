package ntcp2

import (
	"encoding/binary"

	"github.com/dchest/siphash"

	"allium/internal/noise"
)

// secrets are the keys of one direction of the data phase.
type secrets struct {
	key [32]byte // of the frames
	sip [32]byte // of their lengths: two keys and the first IV, 8 bytes each
}

// dataPhase derives the keys of the data phase, from Alice to Bob and back.
func dataPhase(s *noise.State) (ab, ba secrets) {
	ab.key, ba.key = s.Split()
	var master [32]byte
	noise.HKDF(&s.CK, nil, "ask", master[:])
	noise.HKDF(&master, append(s.H[:], "siphash"...), "", master[:])
	var sip [64]byte
	noise.HKDF(&master, nil, "", sip[:])
	copy(ab.sip[:], sip[:32])
	copy(ba.sip[:], sip[32:])
	return ab, ba
}

// mask hides the lengths of the frames of one direction.
type mask struct {
	k0, k1 uint64
	iv     [8]byte
}

func newMask(sip *[32]byte) mask {
	return mask{
		k0: binary.LittleEndian.Uint64(sip[0:]),
		k1: binary.LittleEndian.Uint64(sip[8:]),
		iv: [8]byte(sip[16:24]),
	}
}

// next is what the next length is XORed with.
func (m *mask) next() uint16 {
	v := siphash.Hash(m.k0, m.k1, m.iv[:])
	binary.LittleEndian.PutUint64(m.iv[:], v)
	return uint16(v)
}
