package pool

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
)

const (
	// lookEvery is how often the netDb is gone through for candidates, and
	// classEvery how often those are put in classes, if anybody asks. While
	// there are few, or few of them were met, as after the start, both are done
	// every lookEveryFew.
	lookEvery     = 30 * time.Second
	classEvery    = 5 * time.Second
	fewCandidates = 100
	lookEveryFew  = time.Second
	// dialableFor is how long it is taken for certain that a router can be
	// dialled from here or not.
	dialableFor = 5 * time.Minute
)

// class orders candidates by how gladly they are chosen for a Destination.
type class int

const (
	// fast, capable and proven have all carried a tunnel of ours. A capable
	// one joins tunnels reliably, and a fast one is not among the slowest of
	// those.
	fast class = iota
	capable
	proven
	// met is a router there was a session with, strange one of which we have
	// a RouterInfo, and nobody knows whether there is a router behind it.
	met
	strange
	spared  // it has some load, and was passed over for that
	full    // it is in as many of our tunnels as it may be
	meek    // it shares little, or says that it cannot be dialled
	loaded  // it asks to be spared
	resting // it has failed of late
	classes
)

// classNames are the words of the classes for people. Those that a router is
// put in only while a path is drawn have none.
var classNames = [classes]string{
	fast: "fast", capable: "capable", proven: "proven", met: "met", strange: "strange",
	meek: "meek", loaded: "loaded", resting: "resting",
}

// Classes counts the routers that may be hops by their class: see
// docs/peer-selection.md.
func (s *Selector) Classes(now time.Time) map[string]int {
	f, all := s.look(now), make(map[string]int)
	for of, name := range classNames {
		if name != "" {
			all[name] = len(f.byClass[of])
		}
	}
	return all
}

const (
	// capableShare is what part of the median score a capable router has, and
	// capableLeast what part of the proven ones is taken for capable however
	// they do: whoever keeps honest routers busy must not make all others
	// leave.
	capableShare = 0.6
	capableLeast = 0.5
	// slowest is the part of the capable ones that is not fast. Whoever is
	// faster than all others gets no more than 1/(1-slowest) of his share.
	slowest = 0.25
	// fewCapable is how many there must be for any of them to be left out, or
	// anybody else to be.
	fewCapable = 12
)

// field is the candidates in their classes at one moment. It is never changed.
type field struct {
	all     []candidate
	byClass [classes][]*candidate
	// known are the proven ones of all classes.
	known []*candidate
	// acquainted are those that were met, have no fault and are not proven.
	acquainted []*candidate
	v4         bool // some can be dialled by IPv4
	// lonely tells that none of them was ever met.
	lonely bool
	// few tells that so few were met that more are wanted at once.
	few   bool
	index map[data.Hash]int
	// rejected are the RouterInfos of those that are none.
	rejected map[*data.RouterInfo]bool
	dialled  time.Time // when it was asked who can be dialled
}

// find gives the candidate of that name, nil if there is none.
func (f *field) find(h data.Hash) *candidate {
	if i, ok := f.index[h]; ok {
		return &f.all[i]
	}
	return nil
}

// anywhere tells a router that may stand at both ends of a tunnel: we can dial
// it, and it has the kind of address that almost all others have.
func (f *field) anywhere(c *candidate) bool { return c.near && (c.v4 || !f.v4) }

// look gives the candidates as of a second ago at most, or of some seconds
// when they are many.
func (s *Selector) look(now time.Time) *field {
	s.mu.Lock()
	f := s.field
	scanEvery, ratedFor := lookEvery, classEvery
	if f == nil || len(f.all) < fewCandidates || f.few {
		scanEvery, ratedFor = lookEveryFew, lookEveryFew
	}
	scan := f == nil || stale(now, s.scannedAt, scanEvery)
	if !scan && !stale(now, s.classedAt, ratedFor) {
		s.mu.Unlock()
		return f
	}
	if scan {
		s.scannedAt = now
	}
	s.classedAt = now
	s.mu.Unlock()

	if scan {
		f = s.scan(now, f)
	} else {
		f = &field{all: slices.Clone(f.all), index: f.index, rejected: f.rejected, dialled: f.dialled}
	}
	s.class(now, f)
	s.mu.Lock()
	s.field = f
	s.mu.Unlock()
	return f
}

// size is how many candidates there were when they were last looked at.
func (s *Selector) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.field == nil {
		return 0
	}
	return len(s.field.all)
}

// stale tells that something was done longer ago than every, or before the
// clock went back.
func stale(now, at time.Time, every time.Duration) bool {
	age := now.Sub(at)
	return age < 0 || age >= every
}

// scan goes through the netDb. What is known of RouterInfos from before stays.
func (s *Selector) scan(now time.Time, last *field) *field {
	f := &field{rejected: make(map[*data.RouterInfo]bool), dialled: now}
	before := make(map[*data.RouterInfo]*candidate)
	if last != nil {
		for i := range last.all {
			before[last.all[i].info] = &last.all[i]
		}
		if !stale(now, last.dialled, dialableFor) {
			f.dialled = last.dialled
		}
	}
	infos := s.known.Select(func(ri *data.RouterInfo) bool {
		admitted := before[ri] != nil || !(last != nil && last.rejected[ri]) && s.admits(ri)
		if !admitted {
			f.rejected[ri] = true
		}
		return admitted
	})
	f.all, f.index = make([]candidate, len(infos)), make(map[data.Hash]int, len(infos))
	for i, ri := range infos {
		c := &f.all[i]
		if known := before[ri]; known != nil {
			*c = *known
		} else {
			c.traits = newTraits(ri)
		}
		if before[ri] == nil || f.dialled.Equal(now) {
			c.near = s.neighbours.Dialable(ri)
		}
		f.index[c.hop.Hash] = i
		var at netip.Addr
		if at, c.connected = s.neighbours.Remote(c.hop.Hash); c.connected {
			c.remote = subnetOf(at)
		} else {
			c.remote = netip.Prefix{}
		}
	}
	return f
}

// class puts candidates in their classes.
func (s *Selector) class(now time.Time, f *field) {
	var sound []*candidate
	f.lonely = true
	for i := range f.all {
		c := &f.all[i]
		c.profile = s.profiles.Standing(now, c.hop.Hash)
		f.v4 = f.v4 || c.v4
		f.lonely = f.lonely && !c.profile.Met && !c.profile.Proven
		if c.profile.Proven {
			f.known = append(f.known, c)
		}
		switch {
		case !c.profile.Usable:
			f.add(resting, c)
		case c.loaded(now):
			f.add(loaded, c)
		case c.meek():
			f.add(meek, c)
		case c.profile.Proven:
			sound = append(sound, c)
		case c.profile.Met:
			f.acquainted = append(f.acquainted, c)
		default:
			f.add(strange, c)
		}
	}
	f.few = len(f.known)+len(f.acquainted) < stock
	if len(sound) < fewCapable {
		// Only a few would be in all tunnels.
		f.add(fast, sound...)
		f.add(fast, f.acquainted...)
		return
	}
	f.add(met, f.acquainted...)
	f.rate(sound)
}

// enoughProven is how many proven routers there must be for nobody else to be
// chosen in a storm, and enoughHops how many for each hop.
const enoughProven, enoughHops = 8, 3

// trusts tells whether a router may be a hop in a storm: one that has carried
// tunnels, or as long as these are few, one that was met, or when nobody was
// met, anyone.
func (f *field) trusts(c *candidate, length int) bool {
	return c.profile.Proven ||
		len(f.known) < max(enoughProven, enoughHops*length) && (c.profile.Met || f.lonely)
}

func (f *field) add(of class, all ...*candidate) { f.byClass[of] = append(f.byClass[of], all...) }

// rate divides those that have carried tunnels and have no fault.
func (f *field) rate(sound []*candidate) {
	n := len(sound)
	slices.SortStableFunc(sound, func(a, b *candidate) int { return cmp.Compare(b.profile.Score, a.profile.Score) })
	enough := capableShare * sound[n/2].profile.Score
	able := int(capableLeast * float64(n))
	for able < n && sound[able].profile.Score >= enough {
		able++
	}
	f.add(proven, sound[able:]...)
	sound = sound[:able]
	if able < fewCapable {
		f.add(fast, sound...)
		return
	}
	slices.SortStableFunc(sound, slower(sound))
	quick := able - int(slowest*float64(able))
	f.add(fast, sound[:quick]...)
	f.add(capable, sound[quick:]...)
}

// slower compares routers by their delay. One whose delay is not known stands
// in the middle, and one that has carried more than most counts as one that
// has half its delay: what is busy answers later.
func slower(all []*candidate) func(a, b *candidate) int {
	var delays []time.Duration
	var paces []float64
	for _, c := range all {
		if c.profile.Delay > 0 {
			delays = append(delays, c.profile.Delay)
		}
		paces = append(paces, c.profile.Pace)
	}
	var usual time.Duration
	if slices.Sort(delays); len(delays) > 0 {
		usual = delays[len(delays)/2]
	}
	slices.Sort(paces)
	busy := paces[len(paces)/2]
	of := func(c *candidate) time.Duration {
		delay := cmp.Or(c.profile.Delay, usual)
		if c.profile.Pace > busy {
			delay /= 2
		}
		return delay
	}
	return func(a, b *candidate) int { return cmp.Compare(of(a), of(b)) }
}
