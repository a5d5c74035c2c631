package pace_test

import (
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/sim"
	"allium/internal/transport/pace"
)

// session always has something to send and to read.
type session struct {
	p     *pace.Pacer
	h     *sim.Host
	place pace.Place
	class bandwidth.Class // of what it sends and reads
	sent  int
	read  int
	turns int
}

func newSession(p *pace.Pacer, h *sim.Host, c bandwidth.Class) *session {
	s := &session{p: p, h: h, class: c}
	s.place.Enter(s)
	return s
}

// bytes is n bytes of the session's class.
func (s *session) bytes(n int) (b bandwidth.Bytes) {
	b[s.class] = n
	return b
}

// send sends what it may of a kilobyte, and goes on in its turn.
func (s *session) send(now time.Time) {
	got := s.p.Take(now, &s.place, s.bytes(1024))
	s.p.Settle(now, &s.place, got, got)
	s.sent += got[s.class]
}

// MaySend implements pace.Session.
func (s *session) MaySend(r *host.Round, c bandwidth.Class, n int) {
	s.turns++
	s.p.Settle(r.Now, &s.place, s.bytes(n), s.bytes(n))
	s.sent += n
	s.send(r.Now)
}

// receive reads what it may of so many bytes, and waits for its turn.
func (s *session) receive(n int) {
	room := s.p.Room(&s.place, n)
	s.read += room
	if room > 0 {
		s.p.Arrived(s.h.Now(), &s.place, room, s.bytes(room))
	}
	if room < n {
		s.p.Hold(&s.place)
	}
}

// MayRead implements pace.Session.
func (s *session) MayRead(*host.Round) {
	s.turns++
	s.receive(64 << 10)
}

func newPacer(t *testing.T, limits bandwidth.Limits) (*sim.World, *sim.Host, *pace.Pacer) {
	w := sim.New(t, 1, sim.Config{})
	h := w.Host("10.0.0.1")
	return w, h, pace.New(h, bandwidth.NewLimiter(w.Now(), limits))
}

func TestSessionsHaveEqualTurnsToSend(t *testing.T) {
	w, h, p := newPacer(t, bandwidth.Limits{Out: bandwidth.Line{Transit: 1_000_000}})
	var all []*session
	for range 20 {
		all = append(all, newSession(p, h, bandwidth.Transit))
	}
	for _, s := range all {
		for range 300 { // more than may be saved up
			s.send(w.Now())
		}
	}
	w.Run(2 * time.Second)
	before := make([]int, len(all))
	for i, s := range all {
		before[i] = s.sent
	}
	w.Run(10 * time.Second)
	sum := 0
	for i, s := range all {
		n := s.sent - before[i]
		sum += n
		if n < 450_000 || n > 550_000 {
			t.Errorf("session %d sent %d bytes", i, n)
		}
	}
	if sum < 9_700_000 || sum > 10_300_000 {
		t.Errorf("%d bytes in ten seconds", sum)
	}
}

func TestOwnTrafficDoesNotWaitBehindTransit(t *testing.T) {
	w, h, p := newPacer(t, bandwidth.Limits{
		In:  bandwidth.Line{Total: 1_000_000},
		Out: bandwidth.Line{Total: 1_000_000},
	})
	var others []*session
	for range 50 {
		s := newSession(p, h, bandwidth.Transit)
		others = append(others, s)
		for range 10 {
			s.send(w.Now())
		}
		s.receive(64 << 10)
	}
	w.Run(time.Second)
	own := newSession(p, h, bandwidth.Own)
	for range 50 {
		own.send(w.Now())
		own.receive(1024)
		w.Run(50 * time.Millisecond)
	}
	if own.sent < 50*1024 || own.read < 49*1024 {
		t.Errorf("sent %d and read %d", own.sent, own.read)
	}
	if s := others[7]; s.turns < 10 {
		t.Errorf("another one had %d turns", s.turns)
	}
}

// A session that brings little, such as the answer to a question, is read
// before those that bring as much as they can.
func TestWhoWasNotSeenToWaitGoesFirst(t *testing.T) {
	w, h, p := newPacer(t, bandwidth.Limits{In: bandwidth.Line{Transit: 200_000}})
	for range 100 {
		newSession(p, h, bandwidth.Transit).receive(64 << 10)
	}
	w.Run(3 * time.Second)
	for range 5 {
		rare := newSession(p, h, bandwidth.Transit)
		rare.receive(500)
		w.Run(30 * time.Millisecond) // a turn for all takes a second
		if rare.read == 0 {
			t.Error("it waits")
		}
	}
}

// A session that brings much for others is not read for the sake of the
// little it brings for us.
func TestFloodBesideOurOwnWaitsAsOthersDo(t *testing.T) {
	w, h, p := newPacer(t, bandwidth.Limits{In: bandwidth.Line{Transit: 400_000}})
	both, other := newSession(p, h, bandwidth.Transit), newSession(p, h, bandwidth.Transit)
	other.receive(64 << 10)
	for range 200 {
		p.Arrived(w.Now(), &both.place, 100, bandwidth.Bytes{bandwidth.Own: 100})
		both.receive(64 << 10)
		w.Run(50 * time.Millisecond)
	}
	if both.read > 2*other.read {
		t.Errorf("%d bytes of it were read, %d of the other", both.read, other.read)
	}
}

func TestControlIsNeverHeldBack(t *testing.T) {
	w, h, p := newPacer(t, bandwidth.Limits{Out: bandwidth.Line{Own: 1000, Transit: 1000, Total: 1000}})
	s := newSession(p, h, bandwidth.Control)
	for range 20 {
		s.send(w.Now())
	}
	if s.sent != 20*1024 {
		t.Errorf("%d bytes went", s.sent)
	}
}

func TestWhoLeavesHasNoMoreTurns(t *testing.T) {
	w, h, p := newPacer(t, bandwidth.Limits{
		In:  bandwidth.Line{Transit: 100_000},
		Out: bandwidth.Line{Transit: 100_000},
	})
	var all []*session
	for range 3 {
		s := newSession(p, h, bandwidth.Transit)
		all = append(all, s)
		for range 30 {
			s.send(w.Now())
		}
		s.receive(64 << 10)
	}
	w.Run(time.Second)
	gone := all[1]
	p.Leave(&gone.place)
	before := gone.turns
	w.Run(5 * time.Second)
	if gone.turns != before || all[0].turns < 20 || all[2].turns < 20 {
		t.Errorf("turns: %d then %d, others %d and %d", before, gone.turns, all[0].turns, all[2].turns)
	}
	p.Leave(&all[0].place)
	p.Leave(&all[2].place)
	w.Run(time.Second)
	events := w.Events()
	w.Run(time.Hour)
	if n := w.Events() - events; n != 0 {
		t.Errorf("%d events with nobody waiting", n)
	}
}

func TestWithoutLimitsNothingWaits(t *testing.T) {
	w, h, p := newPacer(t, bandwidth.Limits{})
	s := newSession(p, h, bandwidth.Transit)
	allocs := testing.AllocsPerRun(100, func() {
		s.send(w.Now())
		s.receive(1024)
	})
	if s.sent != 101*1024 || s.read != 101*1024 || s.turns != 0 || allocs != 0 {
		t.Errorf("sent %d, read %d, %d turns, %v allocations", s.sent, s.read, s.turns, allocs)
	}
	limit := bandwidth.Line{Own: 1 << 40, Transit: 1 << 40, Total: 1 << 40}
	_, h, p = newPacer(t, bandwidth.Limits{In: limit, Out: limit})
	s = newSession(p, h, bandwidth.Transit)
	if n := testing.AllocsPerRun(100, func() {
		s.send(h.Now())
		s.receive(1024)
	}); n != 0 {
		t.Errorf("%v allocations far from the limits", n)
	}
}

// A page that comes through a neighbour who has much for others, too, but less,
// is read as fast as it comes.
func TestMuchOfOurOwnGoesFirstWhateverIsBeside(t *testing.T) {
	w, h, p := newPacer(t, bandwidth.Limits{In: bandwidth.Line{Transit: 400_000}})
	for range 20 {
		newSession(p, h, bandwidth.Transit).receive(64 << 10)
	}
	page := newSession(p, h, bandwidth.Own)
	for range 100 {
		p.Arrived(w.Now(), &page.place, 5_000, bandwidth.Bytes{bandwidth.Transit: 5_000}) // 100 KB/s
		page.receive(25_000)                                                              // 500 KB/s
		w.Run(50 * time.Millisecond)
	}
	if page.read < 2_400_000 {
		t.Errorf("%d bytes of 2.5 MB were read", page.read)
	}
}
