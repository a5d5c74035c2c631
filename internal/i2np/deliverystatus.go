package i2np

import (
	"encoding/binary"
	"fmt"
	"time"

	"allium/internal/wire"
)

// DeliveryStatus tells that a message has arrived: ID 4, time 8.
type DeliveryStatus struct {
	// ID is that of the message, or the reply token of a DatabaseStore.
	ID uint32
	// Time is when the status was made, in milliseconds. Others need not tell
	// it right: decide nothing by it.
	Time time.Time
}

// ParseDeliveryStatus reads a DeliveryStatus body. It fails with
// wire.ErrShort.
func ParseDeliveryStatus(body []byte) (DeliveryStatus, error) {
	r := wire.NewReader(body)
	s := DeliveryStatus{ID: r.Uint32(), Time: timeOfMillis(r.Uint64())}
	if r.Err() != nil {
		return DeliveryStatus{}, fmt.Errorf("i2np: DeliveryStatus: %w", r.Err())
	}
	return s, nil
}

// Append appends the body.
func (s DeliveryStatus) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, s.ID)
	return binary.BigEndian.AppendUint64(b, millisOf(s.Time))
}
