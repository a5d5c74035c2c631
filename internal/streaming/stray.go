package streaming

import (
	"bytes"
	"time"
)

const (
	// maxStrays is how many packets wait for the SYN they overtook.
	maxStrays = 64
	// strayLife is how long they do.
	strayLife = 10 * time.Second
)

// stray is a packet from a peer that does not know our id yet, and whose SYN
// has not come: it travelled by a faster tunnel.
type stray struct {
	of      theirID
	from    Sender
	at      time.Time
	payload []byte
}

// stray keeps a copy of the packet. The oldest gives way.
func (ss *Streams) stray(now time.Time, from Sender, of theirID, payload []byte) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.strays) == maxStrays {
		ss.strays = append(ss.strays[:0], ss.strays[1:]...)
	}
	ss.strays = append(ss.strays, stray{of, from, now, bytes.Clone(payload)})
}

// takeStrays returns the packets that wait for the SYN of a stream, and drops
// those that have waited for too long.
func (ss *Streams) takeStrays(now time.Time, of theirID) []stray {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var found []stray
	kept := ss.strays[:0]
	for _, s := range ss.strays {
		switch {
		case now.Sub(s.at) > strayLife:
		case s.of == of:
			found = append(found, s)
		default:
			kept = append(kept, s)
		}
	}
	clear(ss.strays[len(kept):])
	ss.strays = kept
	return found
}
