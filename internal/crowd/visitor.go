package crowd

import (
	"fmt"
	"time"

	"allium/internal/host"
)

const (
	// patience is how long a visitor waits for a page. When an attempt fails
	// before that, the page is asked for again after a moment.
	patience    = 60 * time.Second
	tryAgain    = 2 * time.Second
	attemptTime = 30 * time.Second
	// pause is how long a visitor reads a page.
	pause = 20 * time.Second
)

// Visitor fetches pages of sites, one after another.
type Visitor struct {
	*Site
	sites []*Site
	// Came and Missed count pages, Times is how long each took that came.
	Came, Missed int
	Times        []time.Duration
	// Errors counts what attempts failed with.
	Errors map[string]int
}

// Visit has a site's owner fetch the pages of others, from now on.
func (s *Site) Visit(sites []*Site) *Visitor {
	v := &Visitor{Site: s, sites: sites, Errors: make(map[string]int)}
	s.Node.host.Do(v.next)
	return v
}

// next begins the next page.
func (v *Visitor) next(r *host.Round) {
	to := v.sites[(v.Came+v.Missed)%len(v.sites)]
	v.try(to, r.Now)
}

// try makes an attempt at a page that was begun at a point in time.
func (v *Visitor) try(to *Site, began time.Time) {
	h := v.Node.host
	left := min(patience-h.Now().Sub(began), attemptTime)
	v.Fetch(to.Hash(), left, func(r *host.Round, err error) {
		took := r.Now.Sub(began)
		switch {
		case err == nil:
			v.Came++
			v.Times = append(v.Times, took)
		case took+tryAgain < patience:
			v.Errors[err.Error()]++
			h.AfterFunc(tryAgain, func(*host.Round) { v.try(to, began) })
			return
		default:
			v.Errors[err.Error()]++
			v.Missed++
		}
		h.AfterFunc(pause, v.next)
	})
}

// Pages is what became of the pages of many visitors.
type Pages struct {
	Came, Missed int
	Errors       map[string]int
}

// PagesOf adds up.
func PagesOf(visitors []*Visitor) Pages {
	p := Pages{Errors: make(map[string]int)}
	for _, v := range visitors {
		p.Came += v.Came
		p.Missed += v.Missed
		for cause, count := range v.Errors {
			p.Errors[cause] += count
		}
	}
	return p
}

// Since is what came after an earlier count.
func (p Pages) Since(before Pages) Pages {
	errors := make(map[string]int)
	for cause, count := range p.Errors {
		if count -= before.Errors[cause]; count > 0 {
			errors[cause] = count
		}
	}
	return Pages{p.Came - before.Came, p.Missed - before.Missed, errors}
}

// Success is the part that came, 0 to 1.
func (p Pages) Success() float64 { return float64(p.Came) / float64(max(p.Came+p.Missed, 1)) }

// String is one line with everything.
func (p Pages) String() string {
	return fmt.Sprintf("%.1f %% of %d pages, attempts failed by %v", 100*p.Success(), p.Came+p.Missed, p.Errors)
}
