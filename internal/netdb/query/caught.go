package query

import (
	"slices"
	"time"

	"allium/internal/data"
)

const (
	// firstCaught is how long a floodfill that was caught is asked and told
	// last, twice as long each further time, and at most lastCaught.
	firstCaught = 20 * time.Minute
	lastCaught  = 4 * time.Hour
	// caughtLife is for how long it counts.
	caughtLife = 12 * time.Hour
	// maxCaught bounds what is remembered; the oldest goes first.
	maxCaught = 512
)

// caught are the floodfills that confirmed to have stored something and did
// not return it, in the order of the last time. It is our own evidence, and
// makes them the last choice for a while, nothing more: they may have been
// full, or just restarted.
type caught []culprit

type culprit struct {
	hash  data.Hash
	times int
	last  time.Time
}

func (c caught) index(h data.Hash) int {
	return slices.IndexFunc(c, func(b culprit) bool { return b.hash == h })
}

// note takes down that a floodfill was caught.
func (c *caught) note(now time.Time, h data.Hash) {
	times := 1
	if i := c.index(h); i >= 0 {
		if now.Sub((*c)[i].last) < caughtLife {
			times += (*c)[i].times
		}
		*c = slices.Delete(*c, i, i+1)
	}
	if len(*c) >= maxCaught {
		*c = slices.Delete(*c, 0, 1)
	}
	*c = append(*c, culprit{h, times, now})
}

// holds reports whether a floodfill is to be the last choice.
func (c caught) holds(now time.Time, h data.Hash) bool {
	i := c.index(h)
	return i >= 0 && now.Sub(c[i].last) < min(firstCaught<<min(c[i].times-1, 8), lastCaught)
}

func (q *Queries) isCaught(now time.Time, h data.Hash) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.caught.holds(now, h)
}
