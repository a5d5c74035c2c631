package ntcp2

import (
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
)

// Room implements [host.Meter]: near a limit of bandwidth little is read at a
// time, and the peer is slowed down by TCP. Handshakes are not.
func (l link) Room(n int) int {
	if l.s.active.Load() == 0 {
		return n
	}
	return l.s.e.pacer.Room(&l.s.place, n)
}

// Held implements [host.Meter].
func (l link) Held() { l.s.e.pacer.Hold(&l.s.place) }

// MayRead implements [pace.Session].
func (l link) MayRead(*host.Round) { l.s.stream.Resume() }

// MaySend implements [pace.Session].
func (l link) MaySend(r *host.Round, c bandwidth.Class, n int) {
	l.s.mu.Lock()
	l.s.granted[c] += n
	l.s.mu.Unlock()
	l.seal(r)
}

// take asks for what the session would seal in its next write, and gives what
// it may.
func (s *Session) take(now time.Time, room bool) bandwidth.Bytes {
	var want bandwidth.Bytes
	s.mu.Lock()
	got := s.granted
	s.granted = bandwidth.Bytes{}
	if room && (s.state == established || s.state == ending) {
		for c := range want {
			// What waits becomes more when it is sealed.
			n := s.queues[c].size()
			want[c] = max(min(n+n/16, batchSize)-got[c], 0)
		}
	}
	s.mu.Unlock()
	if want == (bandwidth.Bytes{}) {
		return got
	}
	for c, n := range s.e.pacer.Take(now, &s.place, want) {
		got[c] += n
	}
	return got
}

// arrived counts n bytes that were read, and those that have been sorted.
func (s *Session) arrived(now time.Time, n int, served bandwidth.Bytes) {
	s.e.pacer.Arrived(now, &s.place, n, served)
}

// handshake is n bytes of a handshake, sorted.
func (s *Session) handshake(n int) (b bandwidth.Bytes) {
	c := bandwidth.Control
	if s.class == bandwidth.Own {
		c = bandwidth.Own
	}
	b[c] = n
	return b
}

// spread is all bytes of a frame, sorted as its messages are.
func spread(messages bandwidth.Bytes, frame int) (all bandwidth.Bytes) {
	sum := messages.Sum()
	if sum == 0 {
		all[bandwidth.Control] = frame
		return all
	}
	most := bandwidth.Own
	for c := range bandwidth.Classes {
		all[c] = messages[c] * frame / sum
		if messages[c] > messages[most] {
			most = c
		}
	}
	all[most] += frame - all.Sum()
	return all
}
