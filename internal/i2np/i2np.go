// Package i2np reads and writes the messages of the I2P Network Protocol,
// which routers send to each other: their headers, their bodies, and nothing
// of what they cause.
//
// A message comes out of a transport or out of a garlic clove with the short
// header of 9 bytes ([ParseShort]), or out of a tunnel with the standard
// header of 16 ([ParseStandard]). Either way it becomes a [Message], whose
// body stays as it arrived until the one who is concerned parses it by its
// [Type]. There is a file for each type, with its parser and what appends it.
//
// What a parser gives out points into the body and is lent as long as the
// body is. TunnelData, TunnelGateway, both headers and the build messages are
// read and written without allocating; a relayed tunnel message is never
// copied here at all, but gets its new tunnel ID in place.
//
// Bytes after the end of a body are ignored, as all routers do, except where
// the size of a body is fixed or follows from a count of records.
package i2np

import (
	"errors"
	"math"
	"time"
)

// Errors of parsing and checking. A body that ends early gives
// [allium/internal/wire.ErrShort].
var (
	// ErrMalformed reports a field with a value that is not allowed, or a
	// body of the wrong size.
	ErrMalformed = errors.New("malformed message")
	// ErrChecksum reports a standard header that does not belong to its body.
	ErrChecksum = errors.New("wrong checksum")
	// ErrExpired reports a message whose time is over.
	ErrExpired = errors.New("message expired")
	// ErrFarFuture reports a message that is to live longer than any does.
	ErrFarFuture = errors.New("message expires too far in the future")
	// ErrRouterInfoSize reports a RouterInfo larger than MaxRouterInfo.
	ErrRouterInfoSize = errors.New("RouterInfo too large")
)

// timeOfMillis gives the time of a Date of 8 bytes. Dates beyond the 64 bits
// of a signed integer become its greatest.
func timeOfMillis(ms uint64) time.Time {
	return time.UnixMilli(int64(min(ms, math.MaxInt64))).UTC()
}

// millisOf gives the Date of a time, or 0 for a time before 1970.
func millisOf(t time.Time) uint64 {
	return uint64(max(t.UnixMilli(), 0))
}

// secondsOf rounds a time to a whole second of the 4 bytes that tell it. Times
// outside of 1970 to 2106 become the first or the last of these.
func secondsOf(t time.Time) uint32 {
	s := t.Add(500 * time.Millisecond).Unix()
	return uint32(min(max(s, 0), math.MaxUint32))
}
