package transit

import (
	"errors"
	"slices"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
)

const (
	// maxWait is how long a request waits: creators give up after five
	// seconds, and there are other hops.
	maxWait = 2 * time.Second
	// maxWaiting is how many wait, 1 MB of them, and fewer when it would take
	// more than maxWait to answer them; minWaiting lets small bursts wait.
	minWaiting, maxWaiting = 16, 512
	// maxServing is how many requests are with workers, which others need too.
	maxServing = 4
	// busyPause is how long the queue waits when workers have more to do than
	// they can note.
	busyPause = 50 * time.Millisecond
	// buildLife is the life of a build message.
	buildLife = 60 * time.Second
)

// Request takes a ShortTunnelBuild message that is not an answer to a build of
// our own. from is the router it came from, and zero when it came out of a
// tunnel or garlic: then we may only become an inbound gateway. The message is
// lent.
func (t *Transit) Request(r *host.Round, from data.Hash, m i2np.Message) {
	t.counts.requests.Add(1)
	records, err := i2np.ParseShortTunnelBuild(m.Body)
	if err == nil {
		_, err = build.Find(t.self, records)
	}
	if err != nil {
		t.counts.ignored[Malformed].Add(1)
		return
	}
	if from == t.self {
		from = data.Hash{} // out of a tunnel that ends here
	}
	a := request{from: from, arrived: r.Now, records: records}
	if !from.IsZero() {
		a.subnet = t.subnet(from)
	}
	if why := t.enqueue(a); why != none {
		t.counts.ignored[why].Add(1)
		return
	}
	t.pump(r)
}

// enqueue lets a request wait, or gives the reason why not.
func (t *Transit) enqueue(a request) Reason {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return Stopped
	case t.queue.waiting(a.from) > 0 && t.accepting && !t.tunnels.fitsPrevious(a.from, a.subnet):
		// It will be refused. That is worth the work for one request at a
		// time: a neighbour that floods gets no more out of us.
		return Share
	case !t.queue.open(a.from, a.subnet):
		return Crowded
	}
	a.records = slices.Clone(a.records)
	t.queue.push(a)
	return none
}

// pump hands waiting requests to workers as fast as that is allowed.
func (t *Transit) pump(r *host.Round) {
	for {
		a, ok := t.next(r.Now)
		if !ok {
			return
		}
		if !t.h.Serve(func(r *host.Round) { t.serve(r, a) }) {
			t.counts.ignored[Busy].Add(1)
			t.mu.Lock()
			t.serving--
			t.delayed(maxLag)
			t.wait(busyPause)
			t.mu.Unlock()
			return
		}
	}
}

// next takes the request that may be served now out of the queue.
func (t *Transit) next(now time.Time) (request, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.queue.size > 0 && t.wake == nil && t.serving < maxServing {
		if pause := t.limiter.Wait(now, bandwidth.Out, bandwidth.Control); pause > 0 {
			t.wait(pause)
			break
		}
		if !t.pace.AllowN(now, 1) {
			t.wait(time.Second / time.Duration(t.cfg.RequestRate))
			break
		}
		for t.queue.size > 0 {
			a := t.queue.pop()
			if now.Sub(a.arrived) <= maxWait {
				t.serving++
				a.handed = now
				return a, true
			}
			t.counts.ignored[Late].Add(1)
		}
	}
	return request{}, false
}

// wait has the queue looked at again after d. Under mu.
func (t *Transit) wait(d time.Duration) {
	if t.wake != nil || t.closed {
		return
	}
	t.wake = t.h.AfterFunc(d, func(r *host.Round) {
		t.mu.Lock()
		t.wake = nil
		t.mu.Unlock()
		t.pump(r)
	})
}

// serve does a request on a worker.
func (t *Transit) serve(r *host.Round, a request) {
	defer func() {
		t.mu.Lock()
		t.serving--
		t.delayed(r.Now.Sub(a.handed))
		t.mu.Unlock()
		t.pump(r)
	}()
	if t.isClosed() {
		return
	}
	q, err := build.Open(t.self, t.key, a.records)
	if err != nil {
		t.counts.ignored[Malformed].Add(1)
		return
	}
	err = q.Validate(r.Now, a.from, t.self)
	if errors.Is(err, build.ErrDrop) {
		t.counts.ignored[Invalid].Add(1)
		return
	}
	if key := q.ReplayKey(); t.requests.Seen(r.Now, key[:]) {
		t.counts.ignored[Duplicate].Add(1)
		return
	}
	if err != nil {
		t.refuse(r, q, a.records, Unsupported)
		return
	}
	h, why := t.admit(r.Now, a, q)
	if why != none {
		t.refuse(r, q, a.records, why)
		return
	}
	t.counts.accepted.Add(1)
	q.Answer(a.records, build.Accept)
	if t.answer(r, q, a.records) != nil {
		t.counts.unanswered.Add(1)
		t.forget(h) // the creator will never know
	}
}

func (t *Transit) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// refuse says no.
func (t *Transit) refuse(r *host.Round, q *build.Request, records i2np.ShortTunnelBuild, why Reason) {
	t.counts.refused[why].Add(1)
	q.Answer(records, build.Refuse)
	if t.answer(r, q, records) != nil {
		t.counts.unanswered.Add(1)
	}
}

// admit decides whether we want to be the hop, and if so makes us it.
func (t *Transit) admit(now time.Time, a request, q *build.Request) (*hop, Reason) {
	h := &hop{
		t: t, role: q.Role, receive: q.Receive, next: q.Next, previous: a.from, subnet: a.subnet, nextRouter: q.NextRouter,
		expires: now.Add(life),
	}
	t.mu.Lock()
	why := t.wants(h)
	if why == none {
		t.tunnels.add(h)
	}
	t.mu.Unlock()
	if why != none {
		return nil, why
	}
	keys := q.Keys()
	h.layer = tunnel.NewLayer(&keys)
	if q.Role == build.OutboundEndpoint {
		h.end = tunnel.NewEndpoint(t.memory)
	}
	if why := t.enter(h); why != none {
		return nil, why
	}
	return h, none
}

// wants gives the reason not to become a hop. Under mu.
func (t *Transit) wants(h *hop) Reason {
	s := &t.tunnels
	switch {
	case t.closed || !t.accepting:
		return Stopped
	case s.count >= s.max:
		return Full
	case !s.fitsPrevious(h.previous, h.subnet) || !s.fits(s.next[h.nextRouter]):
		return Share
	}
	return t.pressed().refuses()
}

// enter puts a hop that was counted into the table.
func (t *Transit) enter(h *hop) Reason {
	err := t.table.Add(h.receive, h)
	t.mu.Lock()
	closed := t.closed
	switch {
	case closed:
	case err == nil:
		t.tunnels.hops = append(t.tunnels.hops, h)
	default:
		t.tunnels.remove(h)
	}
	t.mu.Unlock()
	switch {
	case closed && err == nil:
		h.close()
		return Stopped
	case closed:
		return Stopped
	case errors.Is(err, tunnel.ErrTableFull):
		return Full
	case err != nil:
		return Taken
	}
	return none
}

// forget ends a hop before its time.
func (t *Transit) forget(h *hop) {
	t.mu.Lock()
	at := slices.Index(t.tunnels.hops, h)
	if at >= 0 {
		t.tunnels.hops = slices.Delete(t.tunnels.hops, at, at+1)
		t.tunnels.remove(h)
	}
	t.mu.Unlock()
	if at >= 0 {
		h.close()
	}
}

// happens draws whether something of probability p does.
func happens(p float64) bool {
	return p > 0 && float64(random.Uint32()) < p*(1<<32)
}

// answer sends the records on to where the request says.
func (t *Transit) answer(r *host.Round, q *build.Request, records i2np.ShortTunnelBuild) error {
	m := i2np.Message{
		Type:       i2np.TypeShortTunnelBuild,
		ID:         q.NextMessageID,
		Expiration: r.Now.Add(buildLife),
		Body:       records,
	}
	if q.Role == build.OutboundEndpoint {
		m.Type = i2np.TypeOutboundTunnelBuildReply
		m = t.reply(q, m)
	}
	return t.send(r, q.NextRouter, m, bandwidth.Control)
}

// reply wraps the OutboundTunnelBuildReply for the inbound tunnel its creator
// waits at, in garlic, so that the tunnel's gateway sees no answers. When we
// are that gateway it would see them anyway.
func (t *Transit) reply(q *build.Request, m i2np.Message) i2np.Message {
	if q.NextRouter != t.self {
		key, tag := q.ReplyKey()
		sealed := garlic.SealOnce(&key, tag, garlic.Clove{Message: m})
		m.Type = i2np.TypeGarlic
		m.ID = random.Nonzero32()
		m.Body = i2np.Garlic{Data: sealed}.Append(nil)
	}
	g := i2np.TunnelGateway{TunnelID: uint32(q.Next), Message: m.AppendStandard(nil)}
	m.Type = i2np.TypeTunnelGateway
	m.ID = random.Nonzero32()
	m.Body = g.Append(nil)
	return m
}
