package query

import (
	"slices"
	"time"

	"allium/internal/data"
)

const (
	// After a failed search a key is taken for absent for firstAbsence, twice
	// as long after each further one, and for lastAbsence in the end: a service
	// that has just begun is found soon after it was published, however often
	// somebody asks, and one that is gone costs little.
	firstAbsence = 2 * time.Second
	lastAbsence  = 30 * time.Second
	// failuresLife is how long failures count.
	failuresLife = 2 * time.Minute
	// maxAbsences bounds what is remembered; the oldest goes first.
	maxAbsences = 256
)

// absences are the keys that were not found of late, in the order of their
// last failure.
type absences []absence

type absence struct {
	key      data.Hash
	failures int
	last     time.Time
}

// absent reports whether it is no use to search for a key now.
func (a absences) absent(now time.Time, key data.Hash) bool {
	i := a.index(key)
	return i >= 0 && now.Sub(a[i].last) < pause(a[i].failures)
}

// pause is how long a key is left alone after so many failures in a row.
func pause(failures int) time.Duration {
	return min(firstAbsence<<min(failures-1, 8), lastAbsence)
}

// note takes down how a search for a key went.
func (a *absences) note(now time.Time, key data.Hash, found bool) {
	failures := 1
	if i := a.index(key); i >= 0 {
		if now.Sub((*a)[i].last) < failuresLife {
			failures += (*a)[i].failures
		}
		*a = slices.Delete(*a, i, i+1)
	}
	if found {
		return
	}
	if len(*a) >= maxAbsences {
		*a = slices.Delete(*a, 0, 1)
	}
	*a = append(*a, absence{key, failures, now})
}

func (a absences) index(key data.Hash) int {
	return slices.IndexFunc(a, func(b absence) bool { return b.key == key })
}
