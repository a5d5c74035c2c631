package allium

import (
	"fmt"
	"iter"
	"time"

	"allium/internal/netdb"
	"allium/internal/reseed"
	"allium/internal/su3"
)

// ReseedConfig is how the first other routers are found.
type ReseedConfig = reseed.Config

// newReseeder makes what finds them. Networks of one's own have no servers but
// those they are told.
func (r *Router) newReseeder() (*reseed.Reseeder, error) {
	s := &r.cfg.Settings
	w := reseed.Wiring{
		NetID: s.Network, Router: acquaintances{r}, Dial: s.Dialer().DialContext, Now: r.host.Now, Log: r.log,
	}
	if !s.ownNetwork() {
		w.Servers = reseed.Servers()
	}
	made, err := reseed.New(s.Reseed, w)
	if err != nil {
		return nil, fmt.Errorf("router.%w", err)
	}
	return made, nil
}

// findRouters looks after what the router knows of others, once the time is
// known: certificates are judged by it.
func (r *Router) findRouters() {
	select {
	case <-r.clock.Settled():
	case <-r.background.Done():
		return
	}
	r.reseeder.Run(r.background)
}

// acquaintances are the other routers that a router knows.
type acquaintances struct{ r *Router }

// Known tells how many they are.
func (a acquaintances) Known() reseed.Knowledge {
	s := a.r.rt.Status(a.r.host.Now())
	k := reseed.Knowledge{Routers: s.Known.Routers, Peers: s.Transport.Sessions}
	for ri := range a.r.rt.NetDB().All() {
		if ri.Published().After(k.Newest) {
			k.Newest = ri.Published()
		}
	}
	return k
}

// Take adds those of a bundle.
func (a acquaintances) Take(files []su3.Entry) reseed.Taken {
	return reseed.TakenBy(a.r.Import(func(yield func(string, []byte) bool) {
		for _, f := range files {
			if !yield(f.Name, f.Bytes) {
				return
			}
		}
	}))
}

// Export gives at most n RouterInfos that are worth being passed on to
// somebody who knows nobody yet, with file names as Import takes them. They are
// a random choice among those that are reachable and current.
func (r *Router) Export(n int) iter.Seq2[string, []byte] {
	return chosen(r.rt.NetDB(), &r.cfg.Settings, r.host.Now(), n)
}

func chosen(db *netdb.DB, s *Settings, now time.Time, n int) iter.Seq2[string, []byte] {
	files := reseed.Choose(db.All(), reseed.Criteria{NetID: s.Network, Private: s.Private, Now: now}, n)
	return func(yield func(string, []byte) bool) {
		for _, f := range files {
			if !yield(f.Name, f.Bytes) {
				return
			}
		}
	}
}

// Reseed is how the search for the first other routers stands.
type Reseed struct {
	// State is off, idle, asking or waiting. Need is why others are wanted, if
	// they are.
	State string `json:"state"`
	Need  string `json:"need,omitempty"`
	// Kept is how many routers were known from last time at the start.
	Kept int `json:"kept"`
	// Passes is how often all servers were gone through, and Signers how many
	// independent signers delivered, since the need arose.
	Passes  int `json:"passes"`
	Signers int `json:"signers"`
	// Next is when servers are asked again, Done when there last was enough;
	// zero for not planned and never.
	Next    time.Time      `json:"next,omitzero"`
	Done    time.Time      `json:"done,omitzero"`
	Sources []ReseedSource `json:"sources"`
}

// ReseedSource is what came of one server or file.
type ReseedSource struct {
	Source  string    `json:"source"`
	Tried   time.Time `json:"tried,omitzero"`
	Asking  bool      `json:"asking,omitempty"`
	Routers int       `json:"routers"`
	Signer  string    `json:"signer,omitempty"`
	// Failure is why it gave nothing, in a few words, and Detail in more.
	Failure string `json:"failure,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

func (r *Router) reseedStatus() Reseed {
	in := r.reseeder.Status()
	s := Reseed{
		State: string(in.State), Need: in.Need, Kept: r.kept, Passes: in.Passes, Signers: in.Signers,
		Next: in.Next, Done: in.Done, Sources: []ReseedSource{},
	}
	for _, src := range in.Sources {
		s.Sources = append(s.Sources, ReseedSource{
			Source: src.Source, Tried: src.Tried, Asking: src.Busy, Routers: src.Routers, Signer: src.Signer,
			Failure: string(src.Why), Detail: src.Detail,
		})
	}
	return s
}
