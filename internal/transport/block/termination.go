package block

import (
	"encoding/binary"
	"fmt"
)

// terminationSize is the size of a Termination without additional data.
const terminationSize = 8 + 1

// TerminationSize is the size of a Termination block with its header, in
// bytes.
const TerminationSize = HeaderSize + terminationSize

// Termination ends a session.
type Termination struct {
	// Received is how many good frames (NTCP2) or packets (SSU2) the sender
	// has received in the session.
	Received uint64
	Reason   Reason
}

// AppendTermination appends a Termination block of the type the transport has
// for it. Only padding may follow.
func AppendTermination(b []byte, t Type, e Termination) []byte {
	b = appendHeader(b, t, terminationSize)
	b = binary.BigEndian.AppendUint64(b, e.Received)
	return append(b, byte(e.Reason))
}

// ParseTermination reads the data of a Termination block, and ignores
// additional data. It fails with ErrMalformed.
func ParseTermination(data []byte) (Termination, error) {
	if len(data) < terminationSize {
		return Termination{}, fmt.Errorf("block: Termination: %w: %d bytes", ErrMalformed, len(data))
	}
	return Termination{
		Received: binary.BigEndian.Uint64(data),
		Reason:   Reason(data[8]),
	}, nil
}
