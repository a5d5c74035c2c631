package query

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/random"
)

const (
	// ackTime is how long a floodfill has to confirm a store before the next
	// one is told. A later confirmation still counts.
	ackTime = 4 * time.Second
	// storeTime bounds one round of stores.
	storeTime = 60 * time.Second
	// maxTold is how many floodfills are told in one round.
	maxTold = 12
	// verifyAfter and verifyBy are when a stored LeaseSet is looked for: there
	// must have been time to flood it.
	verifyAfter = 5 * time.Second
	verifyBy    = 10 * time.Second
	// farFrom is the number, by distance, of the closest floodfill that counts
	// as far away.
	farFrom = 8
	// maxRounds is how often an entry is stored that is not found afterwards.
	maxRounds = 3
)

// phase is how far a publication is.
type phase uint8

const (
	storing phase = iota
	resting       // stored, to be verified
	verifying
)

// told is a floodfill that was told of the entry.
type told struct {
	to    *data.RouterInfo
	goal  int
	token uint32
	at    time.Time
	state state
	times int
}

// publication is an entry on its way to the floodfills. What is above the
// line does not change; the rest is guarded by the mutex of Queries.
type publication struct {
	ctx  *Context
	key  data.Hash
	kind data.EntryType
	data []byte             // as in a DatabaseStore
	ls   data.LeaseSetEntry // nil for a RouterInfo
	done func(r *host.Round, err error)

	// ------------------------------------------------------------------------
	phase phase
	kept  func(r *host.Round) // for the first confirmation; nil after it
	// goals are the routing keys it belongs at. To be far from them all is
	// the goal after the last.
	goals []data.Hash
	wide  bool // floodfills at the key look like a trap
	told  []told
	// doubted are those who did not have it in an earlier round, and holders
	// those who did.
	doubted, holders []data.Hash
	// checking is how many answers the verification waits for. elsewhere is
	// that somebody had it who was not told, alone that there is nobody else.
	checking         int
	elsewhere, alone bool
	rounds           int
	ends             time.Time // of storing
	verifyAt         time.Time
	over             bool
}

// progress is what a step says of a round of stores.
type progress uint8

const (
	goingOn progress = iota
	stored
	failed
)

// step notes who has been silent for too long and decides whom to tell next.
// There are candidates for each goal.
func (p *publication) step(now time.Time, all []candidates) (tell []told, fell []silence, done progress) {
	for i := range p.told {
		if t := &p.told[i]; t.state == waiting && now.Sub(t.at) >= ackTime {
			t.state = silent
			fell = append(fell, silence{t.to.Hash(), t.at})
		}
	}
	if now.Before(p.ends) {
		for goal := range all {
			for p.count(goal, acked)+p.count(goal, waiting) < p.copies(goal) {
				t := p.next(now, goal, all[goal])
				if t == nil {
					break
				}
				tell = append(tell, *t)
			}
		}
		for goal := range all {
			if p.count(goal, waiting) > 0 && p.count(goal, acked) < p.copies(goal) {
				return tell, fell, goingOn
			}
		}
	}
	if len(p.confirmed()) > 0 {
		return nil, fell, stored
	}
	return nil, fell, failed
}

// count is how many floodfills of a goal stand so.
func (p *publication) count(goal int, s state) int {
	n := 0
	for i := range p.told {
		if p.told[i].goal == goal && p.told[i].state == s {
			n++
		}
	}
	return n
}

// next puts down the next floodfill to tell: the closest that has not been
// told, rather none that is doubted, else one that stayed silent.
func (p *publication) next(now time.Time, goal int, c candidates) *told {
	if len(p.told) < maxTold {
		taken := make([]*data.RouterInfo, len(p.told))
		for i := range p.told {
			taken[i] = p.told[i].to
		}
		fresh := func(h data.Hash) bool { return !slices.Contains(p.names(), h) && !slices.Contains(p.holders, h) }
		ri := c.choose(len(p.told), taken, func(h data.Hash) bool { return fresh(h) && !slices.Contains(p.doubted, h) })
		if ri == nil {
			ri = c.choose(1, taken, fresh)
		}
		if ri != nil {
			p.told = append(p.told, told{to: ri, goal: goal, token: p.token(), at: now, times: 1})
			return &p.told[len(p.told)-1]
		}
	}
	for i := range p.told {
		if t := &p.told[i]; t.goal == goal && t.state == silent && t.times < retries {
			t.state, t.at, t.token = waiting, now, p.token()
			t.times++
			return t
		}
	}
	return nil
}

// token is a reply token. i2pd does not confirm the highest one.
func (p *publication) token() uint32 {
	for {
		if t := random.Nonzero32(); t != 0xffffffff {
			return t
		}
	}
}

// names are those who have been told in this round.
func (p *publication) names() []data.Hash {
	all := make([]data.Hash, len(p.told))
	for i := range p.told {
		all[i] = p.told[i].to.Hash()
	}
	return all
}

// acknowledge takes a confirmation.
func (p *publication) acknowledge(token uint32) (by data.Hash, ok bool) {
	for i := range p.told {
		if t := &p.told[i]; t.token == token {
			t.state = acked
			return t.to.Hash(), true
		}
	}
	return data.Hash{}, false
}

// confirmed are those who have confirmed in this round.
func (p *publication) confirmed() (all []told) {
	for _, t := range p.told {
		if t.state == acked {
			all = append(all, t)
		}
	}
	return all
}

// again begins another round with others, and more of them. It reports false
// when there have been enough.
func (p *publication) again(now time.Time) bool {
	if p.rounds++; p.rounds >= maxRounds {
		return false
	}
	p.phase, p.told, p.ends = storing, nil, now.Add(storeTime)
	return true
}

// copies is how many floodfills must confirm: so many for each day's routing
// key, and of a LeaseSet one more far away.
func (p *publication) copies(goal int) int {
	switch {
	case goal < len(p.goals):
		return 2 * (p.rounds + 1)
	case p.ls == nil:
		return 0
	case p.wide:
		return p.rounds + 3
	}
	return p.rounds + 1
}

// far tells whether a floodfill was told in order to have a copy far away.
func (p *publication) far(t told) bool { return t.goal >= len(p.goals) }
