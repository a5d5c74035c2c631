package query

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
)

const (
	// tryTime is how long a floodfill has to answer before the next one is
	// asked. A later answer still counts.
	tryTime = 2500 * time.Millisecond
	// retries is how often one that stays silent is asked when no other is
	// left: the message may have been lost.
	retries = 3
	// hurry is how long a floodfill may be silent before another one is asked
	// besides.
	hurry = 1500 * time.Millisecond
)

// state is how a floodfill that was asked or told stands.
type state uint8

const (
	waiting state = iota
	silent        // it did not answer in time, or could not be reached
	denied        // it answered that it has no such entry
	acked         // it confirmed a store
)

// question is a floodfill that was asked.
type question struct {
	to    *data.RouterInfo
	at    time.Time
	state state
	times int
	// tag is the one the answer is sealed with, zero if it is not.
	tag [garlic.TagSize]byte
}

// answer is what a search found: a RouterInfo, a LeaseSet, or for an
// exploration the routers that a floodfill named.
type answer struct {
	router   *data.RouterInfo
	leaseSet data.LeaseSetEntry
	peers    []data.Hash
	from     data.Hash
}

// search is one lookup. What is above the line does not change; the rest is
// guarded by the mutex of Queries.
type search struct {
	ctx  *Context
	key  data.Hash
	kind i2np.LookupKind
	ends time.Time
	// only is the only floodfill to ask, if it is not zero.
	only data.Hash
	// first is asked before all others, if we know it.
	first data.Hash
	// avoid are not asked.
	avoid []data.Hash
	// exclude are routers that are not to be named, besides those asked.
	exclude []data.Hash
	// explore takes any named routers for the answer.
	explore bool
	// side is a search for what another one heard of, and starts none itself.
	side bool
	// missing is a search for a RouterInfo we did not have. It ends when we
	// have it, wherever it comes from.
	missing bool
	// proves, if any, is what a LeaseSet must be to be the answer. It is not
	// kept then.
	proves func(data.LeaseSetEntry) bool

	// ------------------------------------------------------------------------
	most     int // floodfills to ask
	abreast  int // how many are asked at a time
	asked    []question
	heard    int // unknown routers it was told of
	fetching int // of these, whose RouterInfo is being looked up
	over     bool
	done     []func(r *host.Round, a answer, err error)
}

// step notes who has been silent for too long and decides whom to ask next.
// A non-nil error ends the search.
func (s *search) step(now time.Time, c candidates) (ask []*data.RouterInfo, fell []silence, err error) {
	open, late := 0, 0 // have not answered yet
	for i := range s.asked {
		w := &s.asked[i]
		switch {
		case w.state == waiting && now.Sub(w.at) >= tryTime:
			w.state = silent
			fell = append(fell, silence{w.to.Hash(), w.at})
		case w.state == waiting && now.Sub(w.at) >= hurry:
			late++
		case w.state == waiting:
			open++
		}
	}
	if !now.Before(s.ends) {
		return nil, fell, s.failure()
	}
	for ; open < s.width(); open++ {
		ri := s.next(now, c)
		if ri == nil {
			break
		}
		ask = append(ask, ri)
	}
	if open+late+s.fetching == 0 {
		return nil, fell, s.failure()
	}
	return ask, fell, nil
}

// next puts down the next floodfill to ask: the closest that has not been
// asked, else one that stayed silent.
func (s *search) next(now time.Time, c candidates) *data.RouterInfo {
	if len(s.asked) < s.most {
		taken := make([]*data.RouterInfo, len(s.asked))
		for i := range s.asked {
			taken[i] = s.asked[i].to
		}
		ri := c.search(len(s.asked), taken, func(h data.Hash) bool {
			return s.question(h) == nil && !slices.Contains(s.avoid, h)
		})
		if ri != nil {
			s.asked = append(s.asked, question{to: ri, at: now, times: 1})
			return ri
		}
	}
	for i := range s.asked {
		if w := &s.asked[i]; w.state == silent && w.times < retries {
			w.state, w.at = waiting, now
			w.times++
			return w.to
		}
	}
	return nil
}

// failure is why a search that ends now has found nothing.
func (s *search) failure() error {
	if len(s.asked) == 0 {
		return ErrNoFloodfills
	}
	for i := range s.asked {
		if s.asked[i].state == denied {
			return ErrNotFound
		}
	}
	return ErrNoAnswer
}

// due reports whether step has something to decide.
func (s *search) due(now time.Time) bool {
	open := 0
	for i := range s.asked {
		if w := &s.asked[i]; w.state == waiting && now.Sub(w.at) < hurry {
			open++
		}
	}
	return open < s.width() || !now.Before(s.ends)
}

// width is how many floodfills may be asked at a time: more, when the closest
// few have not had the entry.
func (s *search) width() int {
	if len(s.asked) < closestFew {
		return s.abreast
	}
	return max(s.abreast, askAbreastWide)
}

// question is what was asked of a floodfill, nil if nothing.
func (s *search) question(h data.Hash) *question {
	for i := range s.asked {
		if s.asked[i].to.Hash() == h {
			return &s.asked[i]
		}
	}
	return nil
}

// excluded are the routers that answers shall not name.
func (s *search) excluded(asking data.Hash) []data.Hash {
	all := slices.Clone(s.exclude)
	for i := range s.asked {
		if h := s.asked[i].to.Hash(); h != asking {
			all = append(all, h)
		}
	}
	return all
}

// looksFor reports whether an entry under a key would be an answer.
func (s *search) looksFor(key data.Hash, leaseSet bool) bool {
	return s.key == key && (s.kind == i2np.LookupLeaseSet) == leaseSet
}
