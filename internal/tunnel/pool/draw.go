package pool

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/random"
)

// drawing is a path being drawn for a tunnel.
type drawing struct {
	s     *Selector
	now   time.Time
	wish  wish
	field *field
	// anywhere takes only routers that may stand at both ends.
	anywhere bool

	// kept are routers that do not stand anywhere but next to us.
	kept []data.Hash
	path []*candidate
	// put is those that were drawn and put off, by the class they are
	// considered in after its other members.
	put [classes][]*candidate
}

// draw chooses up to as many routers as wished, that nearest to us first.
func (d *drawing) draw() []*candidate {
	curious := d.wish.Explore && random.IntN(max(d.field.caution(), d.wish.Caution)) == 0
	if first := d.s.first(d.now, d.field, d.wish); first != nil && !(curious && d.wish.Length == 1) {
		d.path = append(d.path, first)
	}
	fixed := len(d.path)
	d.kept = d.s.reserved(d.wish.First)
	if curious {
		d.newcomer()
	}
	if d.wish.Explore {
		d.take(fast, slices.Concat(d.field.byClass[fast], d.field.byClass[capable]))
	} else {
		d.take(fast, slices.Clone(d.field.byClass[fast]))
		d.take(capable, slices.Clone(d.field.byClass[capable]))
	}
	for of := proven; of < classes && len(d.path) < d.wish.Length; of++ {
		d.take(of, slices.Concat(d.field.byClass[of], d.put[of]))
	}
	if rest := d.path[fixed:]; d.wish.Key != nil {
		order(rest, d.wish.Key)
	} else {
		random.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	}
	return d.path
}

const (
	// In one of so many exploratory tunnels a newcomer is tried: of few when
	// we know few good routers.
	leastCaution = 2
	mostCaution  = 10
)

// caution is in one of how many exploratory tunnels a newcomer is tried.
func (f *field) caution() int { return min(max(len(f.known)/10, leastCaution), mostCaution) }

// newcomer takes one router that may be no good. A stranger is taken where
// nobody else is, but not in a storm.
func (d *drawing) newcomer() {
	length, storm := d.wish.Length, d.wish.Storm
	d.wish.Length, d.wish.Storm = len(d.path)+1, false
	d.take(met, d.field.newcomers())
	if !storm && len(d.field.known) < fewCapable {
		d.take(strange, slices.Clone(d.field.byClass[strange]))
	}
	d.wish.Length, d.wish.Storm = length, storm
}

// take fills the path from the routers of a class. Each is asked about again
// when it is drawn. left is used up.
func (d *drawing) take(of class, left []*candidate) {
	for len(left) > 0 && len(d.path) < d.wish.Length {
		i := d.index(of, left)
		c := left[i]
		last := len(left) - 1
		left[i], left = left[last], left[:last]
		switch {
		case d.s.profiles.Banned(d.now, c.hop.Hash):
		case d.wish.Storm && !d.field.trusts(c, d.wish.Length):
		case d.anywhere && !d.field.anywhere(c):
		case of < resting && !d.s.profiles.Usable(d.now, c.hop.Hash):
			d.put[resting] = append(d.put[resting], c)
		case of < full && (slices.Contains(d.kept, c.hop.Hash) || d.wish.Load.full(c.hop.Hash)):
			d.put[full] = append(d.put[full], c)
		case of < spared && c.caps.Congestion >= data.MediumCongestion && random.IntN(2) == 0:
			d.put[spared] = append(d.put[spared], c)
		case c.fits(d.path, d.s.cfg.AnySubnet):
			d.path = append(d.path, c)
		}
	}
}

// index is that of the router to take next. Of those that have shown what they
// are good for any is as likely as the others: none can make itself chosen
// more often by being better than all. Of the others the better of two is
// taken.
func (d *drawing) index(of class, left []*candidate) int {
	i := random.IntN(len(left))
	if of < met {
		return i
	}
	if j := random.IntN(len(left)); left[j].profile.Score > left[i].profile.Score {
		return j
	}
	return i
}
