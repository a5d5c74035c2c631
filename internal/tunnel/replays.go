package tunnel

import (
	"time"

	"allium/internal/i2np"
	"allium/internal/replay"
)

// Lifetime is how long a tunnel lives after its creation.
const Lifetime = 10 * time.Minute

// replayLife is how long a tunnel message is remembered: until the tunnel it
// came through has gone, with a minute of grace.
const replayLife = Lifetime + time.Minute

// Replays drops tunnel messages that came before: a hop that sends one twice
// would see where it comes out twice. One for all tunnels of a router. Safe
// for concurrent use.
type Replays struct {
	filter *replay.Filter
}

// NewReplays makes a filter sized for capacity tunnel messages in eleven
// minutes, ten bytes each. With more than twice as many it forgets sooner.
func NewReplays(capacity int) *Replays {
	return &Replays{replay.New(replayLife, capacity)}
}

// Seen reports whether message, as it arrived, came before, and remembers it.
// What is remembered is the IV XOR the first block of data, so that swapping
// the two does not make it another message.
func (s *Replays) Seen(now time.Time, message i2np.TunnelData) bool {
	var key [ivSize]byte
	for i := range key {
		key[i] = message[ivAt+i] ^ message[dataAt+i]
	}
	return s.filter.Seen(now, key[:])
}
