package sim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"net/netip"
	"strings"
	"time"
)

// kind tells what an event is.
type kind uint8

const (
	kindTimer kind = iota
	kindWork
	kindDo
	kindAccept
	kindOpened
	kindData
	kindWritable
	kindClosed
	kindDatagram
	kindNote
)

var kindNames = [...]string{"timer", "work", "do", "accept", "opened", "data", "writable", "closed", "datagram", "note"}

// record is one event as a failed test prints it.
type record struct {
	at       int64
	kind     kind
	host     string
	from, to netip.AddrPort
	size     int
	sum      uint32
	note     string
}

func (r record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%12v %-16s %-8s", time.Duration(r.at), r.host, kindNames[r.kind])
	if r.from.IsValid() || r.to.IsValid() {
		fmt.Fprintf(&b, " %v -> %v", r.from, r.to)
	}
	if r.size > 0 {
		fmt.Fprintf(&b, " %d bytes %08x", r.size, r.sum)
	}
	if r.note != "" {
		fmt.Fprintf(&b, " %s", r.note)
	}
	return b.String()
}

// trace is the fingerprint of a run and its last events.
type trace struct {
	hash  uint64
	count uint64
	last  []record // a ring
	next  int      // where the ring goes on

	recorded *[]uint32 // the hash after each event, for Twice
	expected []uint32  // the same from the run before
	differs  string    // the first event that was not as expected
}

// compareLimit is how many events Twice compares one by one.
const compareLimit = 16 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// event notes what is about to reach a host.
func (w *World) event(k kind, h *Host, from, to netip.AddrPort, b []byte, note string) {
	t := &w.trace
	r := &t.last[t.next]
	*r = record{at: w.events.now, kind: k, host: h.machine.name, from: from, to: to,
		size: len(b), sum: crc32.Checksum(b, castagnoli), note: note}
	t.next++
	if t.next == len(t.last) {
		t.next = 0
	}
	if k == kindNote {
		return
	}
	t.count++
	t.mix(uint64(r.at))
	t.mix(uint64(k)<<32 | uint64(h.machine.id))
	t.mixAddr(from)
	t.mixAddr(to)
	t.mix(uint64(len(b))<<32 | uint64(r.sum))
	t.mix(uint64(crc32.Checksum([]byte(note), castagnoli)))
	t.compare(r)
}

func (t *trace) mix(v uint64) {
	t.hash = bits.RotateLeft64((t.hash^v)*0x9e3779b97f4a7c15, 29)
}

func (t *trace) mixAddr(a netip.AddrPort) {
	if !a.IsValid() {
		return
	}
	b := a.Addr().As16()
	t.mix(binary.LittleEndian.Uint64(b[:]))
	t.mix(binary.LittleEndian.Uint64(b[8:]) ^ uint64(a.Port()))
}

// compare serves Twice.
func (t *trace) compare(r *record) {
	if t.recorded != nil && len(*t.recorded) < compareLimit {
		*t.recorded = append(*t.recorded, uint32(t.hash))
	}
	if t.expected == nil || t.differs != "" || t.count > compareLimit {
		return
	}
	if t.count > uint64(len(t.expected)) || t.expected[t.count-1] != uint32(t.hash) {
		t.differs = fmt.Sprintf("event %d: %v", t.count, r)
	}
}

// String lists the last events, the oldest first.
func (t *trace) String() string {
	var b strings.Builder
	for i := range t.last {
		r := t.last[(t.next+i)%len(t.last)]
		if r.host != "" {
			fmt.Fprintln(&b, r)
		}
	}
	return b.String()
}
