package profile_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/profile"
	"allium/internal/store"
	"pgregory.net/rapid"
)

var (
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	peer = data.HashOf([]byte("peer"))
)

// failing is a bucket that counts its writes and cannot write while full.
type failing struct {
	store.Bucket
	full   bool
	writes int
}

var errFull = errors.New("disk full")

func (f *failing) Write(changes []store.Change) error {
	if f.writes++; f.full {
		return errFull
	}
	return f.Bucket.Write(changes)
}

func newBucket(t testing.TB) *failing {
	t.Helper()
	s := store.Memory()
	t.Cleanup(func() { s.Close() })
	b, err := s.Bucket("profiles")
	if err != nil {
		t.Fatal(err)
	}
	return &failing{Bucket: b}
}

func open(t testing.TB, b store.Bucket) *profile.Profiles {
	t.Helper()
	p, err := profile.New(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestScorePrefersThoseWhoJoin(t *testing.T) {
	p := open(t, newBucket(t))
	joins, mixed, refuses, silent, lossy, distant := hash(1), hash(2), hash(3), hash(4), hash(5), hash(6)
	for range 5 {
		p.TunnelAccepted(noon, joins, 0)
		p.TunnelAccepted(noon, mixed, 0)
		p.TunnelRefused(noon, mixed, 30)
		p.TunnelRefused(noon, refuses, 30)
		p.TunnelTimeout(noon, silent)
		p.TunnelAccepted(noon, lossy, 0)
		p.TestFailed(noon, lossy)
		p.TunnelAccepted(noon, distant, 0)
		p.DialFailed(noon, distant)
	}
	score := func(h data.Hash) float64 { return p.Standing(noon, h).Score }
	if s := score(peer); s != 0.5 {
		t.Errorf("an unknown peer has %v", s)
	}
	if !(score(joins) > score(peer) && score(peer) == score(mixed) && score(mixed) > score(refuses) && score(refuses) == score(silent)) {
		t.Error(score(joins), score(peer), score(mixed), score(refuses), score(silent))
	}
	if !(score(joins) > score(lossy) && score(lossy) > score(distant)) {
		t.Error(score(joins), score(lossy), score(distant))
	}
	if after := p.Standing(noon.Add(time.Hour), joins).Score; !(after < score(joins) && after > 0.5) {
		t.Errorf("%v an hour after %v", after, score(joins))
	}
}

func TestLookupScorePrefersThoseWhoAnswer(t *testing.T) {
	p := open(t, newBucket(t))
	answers, fails := hash(1), hash(2)
	p.LookupAnswered(noon, answers)
	p.LookupFailed(noon, fails)
	if a, f := p.LookupScore(noon, answers), p.LookupScore(noon, fails); !(a > p.LookupScore(noon, peer) && p.LookupScore(noon, peer) > f) {
		t.Error(a, f)
	}
	if p.Standing(noon, fails).Score != 0.5 {
		t.Error("a bad floodfill is taken for a bad hop")
	}
}

func hash(i int) data.Hash {
	return data.HashOf(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

func TestFailuresPauseAPeer(t *testing.T) {
	for name, c := range map[string]struct {
		fail    func(*profile.Profiles)
		succeed func(*profile.Profiles)
		patient int // how many failures are borne
	}{
		"refusals":     {func(p *profile.Profiles) { p.TunnelRefused(noon, peer, 30) }, func(p *profile.Profiles) { p.TunnelAccepted(noon, peer, 0) }, 1},
		"timeouts":     {func(p *profile.Profiles) { p.TunnelTimeout(noon, peer) }, func(p *profile.Profiles) { p.TestPassed(noon, peer, 0) }, 1},
		"silence":      {func(p *profile.Profiles) { p.TunnelTimeout(noon, peer, hash(1)) }, func(p *profile.Profiles) { p.TunnelAccepted(noon, peer, 0) }, 3},
		"failed dials": {func(p *profile.Profiles) { p.DialFailed(noon, peer) }, func(p *profile.Profiles) { p.Connected(noon, peer) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, newBucket(t))
			for range c.patient {
				c.fail(p)
			}
			if !p.Usable(noon, peer) {
				t.Error("paused too early")
			}
			c.fail(p)
			if p.Usable(noon, peer) || p.Usable(noon.Add(30*time.Second-1), peer) {
				t.Error("not paused")
			}
			if !p.Usable(noon.Add(30*time.Second), peer) {
				t.Error("does not heal")
			}
			if !p.UsableForLookups(noon, peer) {
				t.Error("not usable as a floodfill")
			}
			c.succeed(p)
			if !p.Usable(noon, peer) {
				t.Error("success does not heal")
			}
		})
	}
}

func TestFailedLookupsPauseAFloodfill(t *testing.T) {
	p := open(t, newBucket(t))
	for range 3 {
		if !p.UsableForLookups(noon, peer) {
			t.Error("paused too early")
		}
		p.LookupFailed(noon, peer)
	}
	if p.UsableForLookups(noon, peer) || !p.Usable(noon, peer) {
		t.Error("not paused, or paused as a hop")
	}
	p.LookupAnswered(noon, peer)
	if !p.UsableForLookups(noon, peer) {
		t.Error("success does not heal")
	}
}

func TestPausesGrowAndAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		fail    func(p *profile.Profiles, now time.Time)
		longest time.Duration
	}{
		"failed dials": {func(p *profile.Profiles, now time.Time) { p.DialFailed(now, peer) }, 8 * time.Minute},
		"refusals":     {func(p *profile.Profiles, now time.Time) { p.TunnelRefused(now, peer, 30) }, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, newBucket(t))
			now := noon
			var pauses []time.Duration
			for range 12 {
				for range 5 { // those under way fail too, and count once
					c.fail(p, now)
				}
				start := now
				for !p.Usable(now, peer) {
					now = now.Add(time.Second)
				}
				pauses = append(pauses, now.Sub(start))
			}
			want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, c.longest, c.longest}
			if !slices.Equal(pauses[:len(want)], want) || slices.Max(pauses) > c.longest {
				t.Error(pauses)
			}
			now = now.Add(2 * time.Hour)
			for range 2 {
				c.fail(p, now)
			}
			if p.Usable(now.Add(30*time.Second-1), peer) || !p.Usable(now.Add(30*time.Second), peer) {
				t.Error("blame outlives a quiet hour")
			}
		})
	}
}

func TestCountsFade(t *testing.T) {
	p := open(t, newBucket(t))
	p.TunnelAccepted(noon, peer, 0)
	p.TunnelAccepted(noon.Add(time.Hour), peer, 0)
	if got := p.Peers(noon.Add(2 * time.Hour))[0].TunnelsAccepted; got != 0.75 {
		t.Errorf("got %v", got)
	}
}

// TestEveryPauseEnds holds for any history: left alone for ten minutes, a peer
// is usable, and scores stay between 0 and 1.
func TestEveryPauseEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := store.Memory()
		defer s.Close()
		bucket, err := s.Bucket("profiles")
		if err != nil {
			t.Fatal(err)
		}
		p, err := profile.New(bucket)
		if err != nil {
			t.Fatal(err)
		}
		events := []func(time.Time, data.Hash){
			func(now time.Time, h data.Hash) { p.TunnelAccepted(now, h, time.Second) },
			func(now time.Time, h data.Hash) { p.TunnelRefused(now, h, 30) },
			func(now time.Time, h data.Hash) { p.TunnelTimeout(now, hash(1), h, hash(2)) },
			func(now time.Time, h data.Hash) { p.TestPassed(now, h, 3) },
			func(now time.Time, h data.Hash) { p.TestFailed(now, h, hash(3)) },
			p.DialFailed, p.Connected, p.LookupAnswered, p.LookupFailed,
		}
		now := noon
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(-60, 1200).Draw(t, "seconds")) * time.Second)
			rapid.SampledFrom(events).Draw(t, "event")(now, peer)
			for _, score := range []float64{p.Standing(now, peer).Score, p.LookupScore(now, peer)} {
				if !(score >= 0 && score <= 1) {
					t.Fatalf("score %v", score)
				}
			}
		}
		later := now.Add(11 * time.Minute) // the clock may have gone back a minute
		if !p.Usable(later, peer) || !p.UsableForLookups(later, peer) {
			t.Fatal("paused for good")
		}
	})
}

func TestPausesDoNotOutliveAWrongClock(t *testing.T) {
	p := open(t, newBucket(t))
	p.DialFailed(noon.Add(1000*time.Hour), peer)
	if !p.Usable(noon, peer) {
		t.Error("paused until the time comes")
	}
}

func TestBansEnd(t *testing.T) {
	p := open(t, newBucket(t))
	p.Ban(peer, "first", noon.Add(time.Hour))
	p.Ban(peer, "shorter", noon.Add(time.Minute))
	before := noon.Add(time.Hour - 1)
	if !p.Banned(before, peer) || p.Usable(before, peer) || p.UsableForLookups(before, peer) {
		t.Error("not banned")
	}
	if bans := p.Bans(noon); len(bans) != 1 || bans[0].Reason != "first" || bans[0].Hash != peer {
		t.Errorf("%+v", bans)
	}
	after := noon.Add(time.Hour)
	if p.Banned(after, peer) || !p.Usable(after, peer) || len(p.Bans(after)) != 0 {
		t.Error("still banned")
	}
	p.Unban(peer)
	if p.Banned(noon, peer) {
		t.Error("still banned")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	p := open(t, newBucket(t))
	const n = 20_000
	for i := range n {
		p.Connected(noon.Add(time.Duration(i)*time.Second), hash(i))
		p.Ban(hash(i), strings.Repeat("é", 1000), noon.Add(time.Duration(i)*time.Second))
	}
	if p.Len() > 8192 || len(p.Bans(noon.Add(-1))) > 16384 {
		t.Errorf("%d peers, %d bans", p.Len(), len(p.Bans(noon.Add(-1))))
	}
	all := p.Peers(noon)
	if !slices.ContainsFunc(all, func(q profile.Peer) bool { return q.Hash == hash(n-1) }) || !p.Banned(noon, hash(n-1)) {
		t.Error("forgot the newest")
	}
	p.Expire(noon.Add(n*time.Second + 36*time.Hour))
	if p.Len() != 0 || len(p.Bans(noon.Add(-1))) != 0 {
		t.Errorf("%d peers, %d bans left", p.Len(), len(p.Bans(noon.Add(-1))))
	}
}

func TestProfilesSurviveARestart(t *testing.T) {
	bucket := newBucket(t)
	p := open(t, bucket)
	for i := range 3 {
		p.TunnelAccepted(noon, hash(i), 0)
		p.TunnelRefused(noon, hash(i), 10)
		p.LookupAnswered(noon.Add(time.Minute), hash(i))
	}
	p.TunnelRefused(noon, peer, 30)
	p.TunnelRefused(noon, peer, 30)
	p.Ban(peer, "reason", noon.Add(time.Hour))
	p.Ban(hash(1), "other", noon.Add(time.Hour))

	bucket.full = true
	if err := p.Flush(); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	bucket.full = false
	for range 2 {
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if bucket.writes != 2 {
		t.Errorf("%d writes", bucket.writes)
	}
	p.Unban(hash(1))
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}

	again := open(t, bucket)
	if got, want := again.Peers(noon), p.Peers(noon); !slices.Equal(got, want) || len(got) != 4 {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got, want := again.Bans(noon), p.Bans(noon); !slices.Equal(got, want) || len(got) != 1 {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	again.Unban(peer)
	if again.Usable(noon.Add(29*time.Second), peer) || !again.Usable(noon.Add(30*time.Second), peer) {
		t.Error("the pause did not survive")
	}
	again.Expire(noon.Add(100 * time.Hour))
	if err := again.Flush(); err != nil {
		t.Fatal(err)
	}
	if last := open(t, bucket); last.Len() != 0 || len(last.Bans(noon)) != 0 {
		t.Error("forgotten records came back")
	}
}

func TestUnreadableRecordsAreDropped(t *testing.T) {
	bucket := newBucket(t)
	for _, kind := range "pb?" {
		if err := bucket.Put(append([]byte{byte(kind)}, peer[:]...), []byte("garbage")); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, bucket).Flush(); err != nil {
		t.Fatal(err)
	}
	if err := bucket.Each(func(key, _ []byte) error { return errors.New(string(key[:1])) }); err != nil {
		t.Errorf("left: %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(byte('p'), []byte{1})
	f.Add(byte('b'), []byte{1, 0, 0, 1, 0x90, 0, 0, 0, 0, 'x'})
	f.Add(byte('p'), append([]byte{2}, make([]byte, 8+12*4+2*8+1+3*21)...))
	f.Add(byte('p'), append([]byte{1}, make([]byte, 8+9*4+1+3*18)...))
	f.Add(byte('?'), []byte{})
	f.Fuzz(func(t *testing.T, kind byte, value []byte) {
		bucket := newBucket(t)
		key := append([]byte{kind}, peer[:]...)
		if err := bucket.Put(key, value); err != nil {
			t.Fatal(err)
		}
		p := open(t, bucket)
		far := time.UnixMilli(1 << 62)
		if s := p.Standing(noon, peer).Score; !(s >= 0 && s <= 1) {
			t.Errorf("score %v", s)
		}
		p.TunnelRefused(noon, peer, 30)
		p.Usable(far, peer)
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		// What is left can be read.
		writes := bucket.writes
		if err := open(t, bucket).Flush(); err != nil || bucket.writes != writes {
			t.Errorf("an unreadable record stays: %v", err)
		}
	})
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	p := open(t, newBucket(t))
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := range 200 {
				p.TunnelTimeout(noon, hash(i))
				p.Ban(hash(i+part), "reason", noon.Add(time.Hour))
				p.Usable(noon, hash(i))
				p.Standing(noon, hash(i))
				if i%50 == 0 {
					p.Expire(noon)
					p.Peers(noon)
					if err := p.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if p.Len() != 200 || len(p.Bans(noon)) != 203 {
		t.Errorf("%d peers, %d bans", p.Len(), len(p.Bans(noon)))
	}
}

func TestAskingAllocatesNothing(t *testing.T) {
	p := open(t, newBucket(t))
	p.TunnelAccepted(noon, peer, 0)
	n := testing.AllocsPerRun(100, func() {
		p.TunnelAccepted(noon, peer, 0)
		p.Usable(noon, peer)
		p.Standing(noon, peer)
		p.Banned(noon, peer)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkUsableAndScore(b *testing.B) {
	p := open(b, newBucket(b))
	for i := range 4000 {
		p.TunnelAccepted(noon, hash(i), 0)
	}
	h := hash(7)
	for b.Loop() {
		if !p.Usable(noon, h) || p.Standing(noon, h).Score < 0.5 {
			b.Fail()
		}
	}
}
