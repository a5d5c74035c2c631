package nettime_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"allium/internal/nettime"
)

// bench is a clock on a machine of the test, in a bubble of virtual time.
type bench struct {
	m     *nettime.Machine
	c     *nettime.Clock
	ended chan struct{}

	mu      sync.Mutex
	peers   []time.Duration // ahead of the true time
	offset  time.Duration
	jumps   []time.Duration
	settled time.Duration // how long that took, -1 before
}

// wrong is how far the network time is ahead of the true one.
func (b *bench) wrong() time.Duration {
	wrong := b.m.Wrong()
	b.mu.Lock()
	defer b.mu.Unlock()
	return wrong + b.offset
}

func (b *bench) tell(peers ...time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers = peers
}

func (b *bench) jumped() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.jumps
}

// on runs f with a clock that is wrong and asks servers that are right.
func on(t *testing.T, wrong time.Duration, cfg nettime.Config, right int, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{m: nettime.NewMachine(wrong), ended: make(chan struct{}), settled: -1}
		for i := range right {
			name := fmt.Sprint("right", i)
			cfg.Servers = append(cfg.Servers, name)
			b.m.Server(name, func() (time.Duration, error) {
				time.Sleep(50 * time.Millisecond)
				return 0, nil
			})
		}
		b.start(cfg)
		defer func() { b.c.Close(); close(b.ended) }()
		f(b)
	})
}

func (b *bench) start(cfg nettime.Config) {
	c := nettime.StartOn(b.m, cfg, nettime.Wiring{
		Private: true,
		Peers: func() []time.Duration {
			wrong := b.wrong()
			b.mu.Lock()
			defer b.mu.Unlock()
			var all []time.Duration
			for _, p := range b.peers {
				all = append(all, p-wrong)
			}
			return all
		},
		Adjust: func(offset, _ time.Duration) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.offset = offset
		},
		Jumped: func(by time.Duration) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.jumps = append(b.jumps, by)
		},
	})
	b.c = c
	began := time.Now()
	go func() {
		select {
		case <-c.Settled():
		case <-b.ended:
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.settled = time.Since(began)
	}()
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var both = nettime.Config{FromServers: true, FromPeers: true}

func TestAStartThreeYearsWrongIsRightWithinASecond(t *testing.T) {
	for _, wrong := range []time.Duration{-3 * year, 3 * year} {
		on(t, wrong, both, 3, func(b *bench) {
			after(time.Second)
			s := b.c.Status()
			if b.wrong() != 0 || !s.Known || s.Source != nettime.Servers || s.Offset != -wrong || s.Reason != "" {
				t.Errorf("wrong by %v, %+v", b.wrong(), s)
			}
			if b.settled > time.Second || b.settled < 0 {
				t.Errorf("settled after %v", b.settled)
			}
			if jumps := b.jumped(); len(jumps) != 1 || jumps[0] != -wrong {
				t.Errorf("jumps %v", jumps)
			}
		})
	}
}

func TestPeersAloneTellTheTime(t *testing.T) {
	on(t, 3*year, both, 0, func(b *bench) {
		after(time.Second)
		if b.settled < 0 || b.c.Status().Known || b.wrong() != 3*year {
			t.Fatalf("%+v", b.c.Status())
		}
		b.tell(0, time.Second, 0, -time.Second, year)
		after(5 * time.Second)
		if s := b.c.Status(); b.wrong() != 0 || s.Source != nettime.Peers || s.Peers != 5 {
			t.Errorf("wrong by %v, %+v", b.wrong(), s)
		}
	})
}

func TestPeersAreNotAskedWhenTheyAreNotWanted(t *testing.T) {
	on(t, time.Minute, nettime.Config{}, 3, func(b *bench) {
		b.tell(times(20, 0)...)
		after(time.Hour)
		if s := b.c.Status(); b.wrong() != time.Minute || s.Known || b.m.Asked("right0") != 0 || b.settled != 0 {
			t.Errorf("wrong by %v, %+v", b.wrong(), s)
		}
	})
}

func TestSilentServersAreGivenUpWithinSecondsAndAskedAgain(t *testing.T) {
	cfg := both
	cfg.Servers = []string{"silent1", "silent2"}
	on(t, time.Hour, cfg, 0, func(b *bench) {
		after(5 * time.Second)
		if b.settled < 0 || b.settled > 5*time.Second {
			t.Errorf("settled after %v", b.settled)
		}
		if s := b.c.Status(); s.Known || s.Reason != nettime.TooFew || !errors.Is(s.Servers[0].Err, nettime.ErrAsked) {
			t.Errorf("%+v", s)
		}
		after(24 * time.Hour)
		if n := b.m.Asked("silent1"); n < 24*3 || n > 24*5 {
			t.Errorf("asked %d times in a day", n)
		}
		// The network is back.
		for _, name := range cfg.Servers {
			b.m.Server(name, func() (time.Duration, error) { return 0, nil })
		}
		b.c.Check()
		after(5 * time.Second)
		if b.wrong() != 0 {
			t.Errorf("wrong by %v", b.wrong())
		}
	})
}

func TestAnswersOfServersAreWaitedForBeforePeersAreBelieved(t *testing.T) {
	cfg := both
	cfg.Servers = []string{"slow1", "slow2", "slow3"}
	on(t, time.Hour, cfg, 0, func(b *bench) {
		b.tell(times(6, 20*time.Second)...)
		b.c.Close()
		for _, name := range cfg.Servers {
			b.m.Server(name, func() (time.Duration, error) { time.Sleep(3500 * time.Millisecond); return 0, nil })
		}
		b.start(cfg)
		after(6 * time.Second)
		if s := b.c.Status(); b.wrong() != 0 || s.Source != nettime.Servers {
			t.Errorf("wrong by %v, %+v", b.wrong(), s)
		}
	})
}

func TestServersAreAskedSeldomAndThoseThatRefuseAreLeftAlone(t *testing.T) {
	cfg := both
	cfg.Servers = []string{"refuses"}
	on(t, 0, cfg, 3, func(b *bench) {
		b.m.Server("refuses", func() (time.Duration, error) { return 0, nettime.ErrGoAway })
		b.c.Check()
		after(20 * time.Hour)
		if n := b.m.Asked("refuses"); n > 2 {
			t.Errorf("the one that refuses was asked %d times", n)
		}
		if n := b.m.Asked("right0"); n < 15 || n > 30 {
			t.Errorf("asked %d times in twenty hours", n)
		}
	})
}

func TestADriftingClockIsFollowedInBoundedSteps(t *testing.T) {
	on(t, 0, both, 3, func(b *bench) {
		after(time.Minute)
		worst := time.Duration(0)
		for range 48 * 60 {
			b.m.Set(10 * time.Millisecond) // 14 s a day
			before := b.wrong()
			after(time.Minute)
			worst = max(worst, b.wrong().Abs())
			if d := (b.wrong() - before).Abs(); d > 11*time.Second {
				t.Fatalf("a step of %v", d)
			}
		}
		if worst > 2*time.Second || len(b.jumped()) != 0 {
			t.Errorf("wrong by %v, jumps %v", worst, b.jumped())
		}
	})
}

func TestALieOfAllServersMovesTheClockSlowly(t *testing.T) {
	on(t, 0, both, 0, func(b *bench) {
		b.c.Close()
		var lie atomic.Int64
		cfg := both
		cfg.Servers = []string{"a", "b", "c"}
		for _, name := range cfg.Servers {
			b.m.Server(name, func() (time.Duration, error) { return time.Duration(lie.Load()), nil })
		}
		b.start(cfg)
		after(time.Minute)
		lie.Store(int64(time.Hour))
		after(2 * time.Hour)
		b.c.Check()
		began := b.wrong()
		after(10 * time.Minute)
		if d := b.wrong() - began; d > 110*time.Second || d < 60*time.Second {
			t.Errorf("moved by %v in ten minutes", d)
		}
		// Peers know better: it comes back.
		b.tell(times(12, 0)...)
		after(2 * time.Hour)
		if b.wrong().Abs() > 10*time.Second {
			t.Errorf("wrong by %v beside twelve peers", b.wrong())
		}
	})
}

func TestASystemClockThatIsSetDoesNotMoveTheNetworkTime(t *testing.T) {
	on(t, time.Minute, both, 3, func(b *bench) {
		after(time.Minute)
		for _, by := range []time.Duration{-time.Minute, 9 * time.Second, -48 * time.Hour, year} {
			b.m.Set(by)
			after(4 * time.Second)
			if b.wrong() != 0 {
				t.Errorf("set by %v: wrong by %v", by, b.wrong())
			}
		}
		if n := len(b.jumped()); n != 4 { // the first step is one of them
			t.Errorf("jumps %v", b.jumped())
		}
	})
}

func TestSleepIsToldAndTheTimeAskedAgain(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		on(t, 0, both, 3, func(b *bench) {
			if hidden {
				b.m.HideBoot()
			}
			after(time.Minute)
			after(8*time.Hour - time.Second)
			asked := b.m.Asked("right0")
			b.m.Slept(8 * time.Hour)
			b.m.Set(-5 * time.Minute) // the battery of its clock is weak
			after(4 * time.Second)
			if jumps := b.jumped(); len(jumps) < 1 || (jumps[0]-8*time.Hour).Abs() > 6*time.Minute {
				t.Errorf("jumps %v", jumps)
			}
			if b.m.Asked("right0") != asked+1 || b.wrong() != 0 || !b.c.Status().Known {
				t.Errorf("wrong by %v, %+v", b.wrong(), b.c.Status())
			}
		})
	}
}
