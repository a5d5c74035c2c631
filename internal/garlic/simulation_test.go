package garlic_test

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"allium/internal/garlic"
)

// weather is what a network does to messages.
type weather struct {
	loss, double float64
	delay        time.Duration // up to this, at random
}

// flight is a message on its way.
type flight struct {
	at       time.Time
	from, to *talker
	arrived  *bool // whether a copy did
	body     []byte
}

type flights []*flight

func (f flights) Len() int           { return len(f) }
func (f flights) Less(i, j int) bool { return f[i].at.Before(f[j].at) }
func (f flights) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)        { *f = append(*f, x.(*flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// talker is a side that counts.
type talker struct {
	*side
	sent, got int
	deaf      int // messages of the session that it could not open
	forms     map[garlic.Form]int
	heard     map[int]bool
}

// conversation is two talkers over a bad network.
type conversation struct {
	t          testing.TB
	now        time.Time
	rng        *rand.Rand
	weather    weather
	on         flights
	alice, bob *talker
}

func newConversation(t testing.TB, seed uint64, w weather) *conversation {
	talk := func() *talker {
		return &talker{side: newSide(t, garlic.Config{}), forms: map[garlic.Form]int{}, heard: map[int]bool{}}
	}
	return &conversation{t: t, now: start, rng: rand.New(rand.NewPCG(seed, 0)), weather: w, alice: talk(), bob: talk()}
}

func (c *conversation) send(from, to *talker, cloves []garlic.Clove) {
	form := from.Next(c.now, to.keys.Public)
	from.forms[form]++
	b, err := from.Seal(nil, c.now, to.keys.Public, cloves, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	arrived := new(bool)
	for n := 0; n == 0 || c.rng.Float64() < c.weather.double; n++ {
		if c.rng.Float64() < c.weather.loss {
			continue
		}
		late := time.Duration(c.rng.Int64N(int64(c.weather.delay) + 1))
		heap.Push(&c.on, &flight{c.now.Add(late), from, to, arrived, bytes.Clone(b)})
	}
}

func (c *conversation) say(from, to *talker) {
	from.sent++
	c.send(from, to, []garlic.Clove{numbered(from.sent, 20)})
}

// pass lets time go by, delivers, and lets both sides pay their debts.
func (c *conversation) pass(d time.Duration) {
	c.now = c.now.Add(d)
	for len(c.on) > 0 && !c.on[0].at.After(c.now) {
		c.arrive(heap.Pop(&c.on).(*flight))
	}
	for _, s := range []*talker{c.alice, c.bob} {
		other := c.alice
		if s == c.alice {
			other = c.bob
		}
		due, _ := s.Due(c.now)
		for range due {
			c.send(s, other, nil)
		}
		s.Expire(c.now)
	}
}

func (c *conversation) arrive(f *flight) {
	var o garlic.Opened
	if err := f.to.Open(c.now, f.body, &o); err != nil {
		if !*f.arrived {
			f.to.deaf++
		}
		return
	}
	*f.arrived = true
	for _, clove := range o.Cloves {
		n := number(c.t, clove)
		if f.to.heard[n] {
			c.t.Fatalf("number %d opened twice", n)
		}
		f.to.heard[n] = true
		f.to.got++
	}
}

func TestLongConversationOverBadNetworks(t *testing.T) {
	for name, w := range map[string]weather{
		"good": {0, 0, 0},
		"late": {0, 0.02, 2 * time.Second},
		"bad":  {0.15, 0.05, 800 * time.Millisecond},
	} {
		for _, bobRatchets := range []int{4096, 8192} {
			t.Run(fmt.Sprintf("%s/%d", name, bobRatchets), func(t *testing.T) {
				const messages = 13_000
				c := newConversation(t, 1, w)
				c.bob.RatchetAfter(bobRatchets)
				for range messages {
					c.say(c.alice, c.bob)
					c.say(c.bob, c.alice)
					c.pass(20 * time.Millisecond)
				}
				c.pass(w.delay)
				c.check(messages, bobRatchets)
			})
		}
	}
}

// check that all messages that arrived were understood, and that tag sets
// were changed as often as they should.
func (c *conversation) check(messages, bobRatchets int) {
	c.t.Helper()
	for _, s := range []*talker{c.alice, c.bob} {
		if least := float64(messages) * (1 - c.weather.loss - 0.02); float64(s.got) < least {
			c.t.Errorf("%d messages arrived, want %.0f", s.got, least)
		}
		if s.deaf > 0 {
			c.t.Errorf("%d messages arrived and were not understood", s.deaf)
		}
		if extra := s.forms[garlic.NewSession] + s.forms[garlic.NewSessionReply]; extra > 600 {
			c.t.Errorf("%d NS and NSR", extra)
		}
		if _, tags := s.Len(); tags > 4*(800+512) {
			c.t.Errorf("%d tags", tags)
		}
	}
	aliceSends, aliceReceives := c.alice.SetIDs()
	bobSends, bobReceives := c.bob.SetIDs()
	if aliceSends != bobReceives || bobSends != aliceReceives {
		c.t.Errorf("Alice is at tag sets %d and %d, Bob at %d and %d", aliceSends, aliceReceives, bobSends, bobReceives)
	}
	if aliceSends != messages/4200 || bobSends != messages/(bobRatchets+100) {
		c.t.Errorf("tag sets %d and %d are in use", aliceSends, bobSends)
	}
}

func TestManyTagSetsFollowOneAnother(t *testing.T) {
	c := newConversation(t, 2, weather{loss: 0.3, double: 0.1, delay: 300 * time.Millisecond})
	c.alice.RatchetAfter(50)
	c.bob.RatchetAfter(70)
	for range 6000 {
		c.say(c.alice, c.bob)
		c.say(c.bob, c.alice)
		c.pass(50 * time.Millisecond)
	}
	a, _ := c.alice.SetIDs()
	b, _ := c.bob.SetIDs()
	if a < 50 || b < 50 {
		t.Errorf("only %d and %d tag sets were used", a, b)
	}
	if c.alice.deaf+c.bob.deaf > 0 {
		t.Errorf("%d and %d messages were not understood", c.alice.deaf, c.bob.deaf)
	}
}

func TestWindowGrowsToOutlastBurstsOfLoss(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	n := 0
	run := func(lost, heard int) {
		t.Helper()
		for range lost {
			alice.say(start, bob, garlic.ExistingSession, n)
			n++
		}
		for range heard {
			bob.hear(start, alice, garlic.ExistingSession, n, alice.say(start, bob, garlic.ExistingSession, n))
			n++
		}
	}
	run(20, 1)
	run(40, 1)
	run(80, 1)
	run(160, 400)
	run(700, 3800)
	if id, _ := alice.SetIDs(); id != 0 {
		t.Fatal("tag set changed too early")
	}
	// Alice has no answer yet when the losses hit: she stays on her tag set.
	run(500, 1)
	alice.hear(start, bob, garlic.ExistingSession, 1, bob.say(start, alice, garlic.ExistingSession, 1))
	if id, _ := alice.SetIDs(); id != 1 {
		t.Fatalf("tag set %d", id)
	}
	run(400, 1)
}

func TestOneSideStartsAgainInTheMiddle(t *testing.T) {
	c := newConversation(t, 3, weather{loss: 0.05, delay: 400 * time.Millisecond})
	talk := func(d time.Duration) {
		for end := c.now.Add(d); c.now.Before(end); {
			c.say(c.alice, c.bob)
			if c.rng.IntN(3) == 0 {
				c.say(c.bob, c.alice)
			}
			c.pass(200 * time.Millisecond)
		}
	}
	for _, restarted := range []*talker{c.bob, c.alice} {
		talk(time.Minute)
		restarted.restart()
		talk(3 * time.Minute)
		a, b := c.alice.forms[garlic.ExistingSession], c.bob.forms[garlic.ExistingSession]
		c.alice.deaf, c.bob.deaf = 0, 0
		talk(time.Minute)
		if c.alice.forms[garlic.ExistingSession]-a < 250 || c.bob.forms[garlic.ExistingSession]-b < 50 {
			t.Error("no existing session three minutes after the restart")
		}
		if c.alice.deaf+c.bob.deaf > 0 {
			t.Errorf("%d and %d messages not understood", c.alice.deaf, c.bob.deaf)
		}
	}
}
