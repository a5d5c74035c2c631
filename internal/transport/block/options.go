package block

import (
	"encoding/binary"
	"fmt"
	"time"
)

// optionsSize is the size of the options there are; more may follow.
const optionsSize = 12

// Ratio is an amount of padding for each byte of data, in sixteenths: 0x10 is
// as much padding as data.
type Ratio uint8

// Of is how many bytes of padding go with n bytes of data.
func (r Ratio) Of(n int) int { return n * int(r) / 16 }

// Options is what a router wishes of the traffic of a session. Nobody has to
// heed it, and as yet nobody does.
type Options struct {
	// SendMin and SendMax are how much padding the router will send.
	SendMin, SendMax Ratio
	// ReceiveMin and ReceiveMax are how much it wants to be sent.
	ReceiveMin, ReceiveMax Ratio
	// SendDummy and ReceiveDummy are bytes of dummy traffic per second on
	// average that it will send at most, and wants to be sent.
	SendDummy, ReceiveDummy uint16
	// SendDelay and ReceiveDelay are delays between messages on average that
	// it will make at most, and wants to be made. They are told in whole
	// milliseconds, up to 65535.
	SendDelay, ReceiveDelay time.Duration
}

// AppendOptions appends an Options block.
func AppendOptions(b []byte, o Options) []byte {
	b = appendHeader(b, TypeOptions, optionsSize)
	b = append(b, byte(o.SendMin), byte(o.SendMax), byte(o.ReceiveMin), byte(o.ReceiveMax))
	b = binary.BigEndian.AppendUint16(b, o.SendDummy)
	b = binary.BigEndian.AppendUint16(b, o.ReceiveDummy)
	b = binary.BigEndian.AppendUint16(b, uint16(o.SendDelay/time.Millisecond))
	return binary.BigEndian.AppendUint16(b, uint16(o.ReceiveDelay/time.Millisecond))
}

// ParseOptions reads the data of an Options block, and ignores what may follow
// the options there are. It fails with ErrMalformed.
func ParseOptions(data []byte) (Options, error) {
	if len(data) < optionsSize {
		return Options{}, fmt.Errorf("block: Options: %w: %d bytes", ErrMalformed, len(data))
	}
	return Options{
		SendMin:      Ratio(data[0]),
		SendMax:      Ratio(data[1]),
		ReceiveMin:   Ratio(data[2]),
		ReceiveMax:   Ratio(data[3]),
		SendDummy:    binary.BigEndian.Uint16(data[4:]),
		ReceiveDummy: binary.BigEndian.Uint16(data[6:]),
		SendDelay:    time.Duration(binary.BigEndian.Uint16(data[8:])) * time.Millisecond,
		ReceiveDelay: time.Duration(binary.BigEndian.Uint16(data[10:])) * time.Millisecond,
	}, nil
}
