package garlic_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"allium/internal/garlic"
	"allium/internal/x25519"
)

// side is one of two parties.
type side struct {
	t    testing.TB
	keys x25519.KeyPair
	*garlic.Sessions
}

func newSide(t testing.TB, cfg garlic.Config) *side {
	keys := x25519.Generate()
	return &side{t, keys, garlic.New(cfg, keys)}
}

func twoSides(t testing.TB) (alice, bob *side) {
	return newSide(t, garlic.Config{}), newSide(t, garlic.Config{})
}

// restart loses all sessions.
func (s *side) restart() { s.Sessions = garlic.New(garlic.Config{}, s.keys) }

// say seals a numbered clove and checks the form it gets.
func (s *side) say(now time.Time, to *side, form garlic.Form, n int) []byte {
	s.t.Helper()
	return s.tell(now, to, form, []garlic.Clove{numbered(n, 100)}, 0)
}

func (s *side) tell(now time.Time, to *side, form garlic.Form, cloves []garlic.Clove, track garlic.Handle) []byte {
	s.t.Helper()
	if next := s.Next(now, to.keys.Public); next != form {
		s.t.Fatalf("next is %v, want %v", next, form)
	}
	b, err := s.Seal(nil, now, to.keys.Public, cloves, track)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// hear opens a copy of b and checks form, sender and number.
func (s *side) hear(now time.Time, from *side, form garlic.Form, n int, b []byte) *garlic.Opened {
	s.t.Helper()
	var o garlic.Opened
	if err := s.Open(now, bytes.Clone(b), &o); err != nil {
		s.t.Fatal(err)
	}
	if o.Form != form || !o.Bound || o.Remote != from.keys.Public {
		s.t.Fatalf("opened %v, bound %v, want %v", o.Form, o.Bound, form)
	}
	if len(o.Cloves) != 1 || number(s.t, o.Cloves[0]) != n {
		s.t.Fatalf("opened %d cloves, want number %d", len(o.Cloves), n)
	}
	return &o
}

func (s *side) refuses(now time.Time, b []byte, want error) {
	s.t.Helper()
	var o garlic.Opened
	if err := s.Open(now, bytes.Clone(b), &o); !errors.Is(err, want) {
		s.t.Fatalf("error %v, want %v", err, want)
	}
}

// meet establishes a session: NS, NSR, ES, ES.
func meet(now time.Time, alice, bob *side) {
	alice.t.Helper()
	bob.hear(now, alice, garlic.NewSession, 1, alice.say(now, bob, garlic.NewSession, 1))
	alice.hear(now, bob, garlic.NewSessionReply, 2, bob.say(now, alice, garlic.NewSessionReply, 2))
	bob.hear(now, alice, garlic.ExistingSession, 3, alice.say(now, bob, garlic.ExistingSession, 3))
	alice.hear(now, bob, garlic.ExistingSession, 4, bob.say(now, alice, garlic.ExistingSession, 4))
}

func TestSessionGoesFromNewToReplyToExisting(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	for n := range 100 {
		bob.hear(start, alice, garlic.ExistingSession, n, alice.say(start, bob, garlic.ExistingSession, n))
		alice.hear(start, bob, garlic.ExistingSession, n, bob.say(start, alice, garlic.ExistingSession, n))
	}
}

func TestEveryDeliverySurvivesEveryForm(t *testing.T) {
	alice, bob := twoSides(t)
	for _, form := range []garlic.Form{garlic.NewSession, garlic.NewSessionReply, garlic.ExistingSession, garlic.ExistingSession} {
		var o garlic.Opened
		if err := bob.Open(start, alice.tell(start, bob, form, assorted(), 0), &o); err != nil {
			t.Fatal(err)
		}
		sameCloves(t, o.Cloves, assorted())
		alice, bob = bob, alice
	}
}

func TestUnboundNewSessionLeavesNothingBehind(t *testing.T) {
	_, bob := twoSides(t)
	b, err := garlic.SealUnbound(nil, start, &bob.keys.Public, assorted()...)
	if err != nil {
		t.Fatal(err)
	}
	var o garlic.Opened
	if err := bob.Open(start, bytes.Clone(b), &o); err != nil {
		t.Fatal(err)
	}
	if o.Bound || o.Due || o.Form != garlic.NewSession {
		t.Errorf("opened %+v", o)
	}
	sameCloves(t, o.Cloves, assorted())
	if peers, tags := bob.Len(); peers != 0 || tags != 0 {
		t.Errorf("%d peers and %d tags kept", peers, tags)
	}
	bob.refuses(start, b, garlic.ErrReplayed)
}

func TestSeveralNewSessionsBeforeTheFirstReply(t *testing.T) {
	alice, bob := twoSides(t)
	var news, replies [][]byte
	for n := range 5 {
		news = append(news, alice.say(start, bob, garlic.NewSession, n))
	}
	for _, n := range []int{3, 1, 0, 4} { // one is lost
		bob.hear(start, alice, garlic.NewSession, n, news[n])
		replies = append(replies, bob.say(start, alice, garlic.NewSessionReply, n))
		replies = append(replies, bob.say(start, alice, garlic.NewSessionReply, n+10))
	}
	// The first replies are late; what Alice takes is in the middle.
	alice.hear(start, bob, garlic.NewSessionReply, 10, replies[5])
	first := alice.say(start, bob, garlic.ExistingSession, 20)
	alice.hear(start, bob, garlic.NewSessionReply, 3, replies[0])
	alice.hear(start, bob, garlic.NewSessionReply, 4, replies[6])
	bob.hear(start, alice, garlic.ExistingSession, 20, first)
	// A New Session that comes late changes nothing once ES go on.
	bob.hear(start, alice, garlic.NewSession, 2, news[2])
	bob.hear(start, alice, garlic.ExistingSession, 21, alice.say(start, bob, garlic.ExistingSession, 21))
	alice.hear(start, bob, garlic.ExistingSession, 22, bob.say(start, alice, garlic.ExistingSession, 22))
	alice.hear(start, bob, garlic.NewSessionReply, 11, replies[3])
}

func TestBothSidesMayBegin(t *testing.T) {
	alice, bob := twoSides(t)
	a, b := alice.say(start, bob, garlic.NewSession, 1), bob.say(start, alice, garlic.NewSession, 2)
	bob.hear(start, alice, garlic.NewSession, 1, a)
	alice.hear(start, bob, garlic.NewSession, 2, b)
	a, b = alice.say(start, bob, garlic.NewSessionReply, 3), bob.say(start, alice, garlic.NewSessionReply, 4)
	bob.hear(start, alice, garlic.NewSessionReply, 3, a)
	alice.hear(start, bob, garlic.NewSessionReply, 4, b)
	for n := range 10 {
		a, b = alice.say(start, bob, garlic.ExistingSession, n), bob.say(start, alice, garlic.ExistingSession, n)
		bob.hear(start, alice, garlic.ExistingSession, n, a)
		alice.hear(start, bob, garlic.ExistingSession, n, b)
	}
}

func TestMessagesOpenOnce(t *testing.T) {
	alice, bob := twoSides(t)
	ns := alice.say(start, bob, garlic.NewSession, 1)
	bob.hear(start, alice, garlic.NewSession, 1, ns)
	bob.refuses(start, ns, garlic.ErrReplayed)
	spare := bytes.Clone(ns)
	spare[31] ^= 0xc0 // bits that the encoding of the key does not use
	bob.refuses(start, spare, garlic.ErrReplayed)
	bob.refuses(start.Add(4*time.Minute), ns, garlic.ErrReplayed)

	nsr := bob.say(start, alice, garlic.NewSessionReply, 2)
	alice.hear(start, bob, garlic.NewSessionReply, 2, nsr)
	alice.refuses(start, nsr, garlic.ErrUnknown)

	es := alice.say(start, bob, garlic.ExistingSession, 3)
	bob.hear(start, alice, garlic.ExistingSession, 3, es)
	bob.refuses(start, es, garlic.ErrUnknown)
}

func TestChangedMessagesDoNotSpoilTrueOnes(t *testing.T) {
	alice, bob := twoSides(t)
	for i, form := range []garlic.Form{garlic.NewSession, garlic.NewSessionReply, garlic.ExistingSession, garlic.ExistingSession} {
		b := alice.say(start, bob, form, i)
		for at := range b {
			changed := bytes.Clone(b)
			changed[at] ^= 0x10
			var o garlic.Opened
			if err := bob.Open(start.Add(time.Duration(at)*10*time.Millisecond), changed, &o); err == nil {
				t.Fatalf("%v with byte %d changed was opened", form, at)
			}
		}
		for n := range b {
			bob.refusesAny(start.Add(time.Duration(n)*10*time.Millisecond), b[:n])
		}
		bob.hear(start, alice, form, i, b)
		alice, bob = bob, alice
	}
}

func (s *side) refusesAny(now time.Time, b []byte) {
	s.t.Helper()
	var o garlic.Opened
	if err := s.Open(now, bytes.Clone(b), &o); err == nil {
		s.t.Fatalf("opened %d bytes", len(b))
	}
}

func TestNewSessionMustBeOfNow(t *testing.T) {
	for _, c := range []struct {
		off time.Duration
		err error
	}{
		{0, nil}, {-118 * time.Second, nil}, {298 * time.Second, nil},
		{-122 * time.Second, garlic.ErrClock}, {302 * time.Second, garlic.ErrClock},
	} {
		alice, bob := twoSides(t)
		var o garlic.Opened
		err := bob.Open(start.Add(c.off), alice.say(start, bob, garlic.NewSession, 1), &o)
		if !errors.Is(err, c.err) {
			t.Errorf("opened %v later: %v", c.off, err)
		}
	}
}

func TestDueTellsWhomToAnswer(t *testing.T) {
	alice, bob := twoSides(t)
	if o := bob.hear(start, alice, garlic.NewSession, 1, alice.say(start, bob, garlic.NewSession, 1)); !o.Due {
		t.Error("no reply due to a New Session")
	}
	due, next := bob.Due(start)
	if len(due) != 0 || !next.Equal(start.Add(time.Second)) {
		t.Fatalf("due %d, next %v", len(due), next)
	}
	due, _ = bob.Due(next)
	if !slices.Equal(due, []x25519.PublicKey{alice.keys.Public}) {
		t.Fatalf("due %d", len(due))
	}
	var o garlic.Opened
	if err := alice.Open(next, bob.tell(next, alice, garlic.NewSessionReply, nil, 0), &o); err != nil || !o.Due {
		t.Fatalf("empty reply: %v, due %v", err, o.Due)
	}
	if due, next := bob.Due(next.Add(time.Hour)); len(due) != 0 || !next.IsZero() {
		t.Errorf("replied, and still due %d, next %v", len(due), next)
	}
	due, _ = alice.Due(next.Add(time.Second))
	if !slices.Equal(due, []x25519.PublicKey{bob.keys.Public}) {
		t.Fatalf("first message: due %d", len(due))
	}
	bob.Open(next, alice.tell(next, bob, garlic.ExistingSession, nil, 0), &o)
	if due, next := alice.Due(next.Add(time.Hour)); len(due) != 0 || !next.IsZero() {
		t.Errorf("first message sent, and still due %d, next %v", len(due), next)
	}
}

func TestDueGivesUp(t *testing.T) {
	alice, bob := twoSides(t)
	bob.hear(start, alice, garlic.NewSession, 1, alice.say(start, bob, garlic.NewSession, 1))
	told := 0
	for next := start.Add(time.Second); !next.IsZero(); {
		if next.After(start.Add(time.Minute)) {
			t.Fatal("never gives up")
		}
		var due []x25519.PublicKey
		due, next = bob.Due(next)
		told += len(due)
	}
	if told != 5 {
		t.Errorf("told %d times, want 5", told)
	}
}

func TestDeliveriesAreReportedOnce(t *testing.T) {
	alice, bob := twoSides(t)
	one := []garlic.Clove{numbered(1, 10)}
	bob.hear(start, alice, garlic.NewSession, 1, alice.tell(start, bob, garlic.NewSession, one, 1))
	o := alice.hear(start, bob, garlic.NewSessionReply, 1, bob.tell(start, alice, garlic.NewSessionReply, one, 2))
	if !slices.Equal(o.Acked, []garlic.Handle{1}) {
		t.Errorf("reply proves %v", o.Acked)
	}
	o = bob.hear(start, alice, garlic.ExistingSession, 1, alice.tell(start, bob, garlic.ExistingSession, one, 3))
	if !slices.Equal(o.Acked, []garlic.Handle{2}) || !o.Due {
		t.Errorf("first ES proves %v, due %v", o.Acked, o.Due)
	}
	o = alice.hear(start, bob, garlic.ExistingSession, 1, bob.tell(start, alice, garlic.ExistingSession, one, 0))
	if !slices.Equal(o.Acked, []garlic.Handle{3}) {
		t.Errorf("ES proves %v", o.Acked)
	}
	alice.tell(start, bob, garlic.ExistingSession, one, 4) // lost on the way
	if lost := alice.Expire(start.Add(20 * time.Second)); len(lost) != 0 {
		t.Errorf("lost too early: %v", lost)
	}
	want := []garlic.Lost{{Remote: bob.keys.Public, Handle: 4}}
	if lost := alice.Expire(start.Add(40 * time.Second)); !slices.Equal(lost, want) {
		t.Errorf("lost %v", lost)
	}
	if lost := alice.Expire(start.Add(50 * time.Second)); len(lost) != 0 {
		t.Errorf("lost again: %v", lost)
	}
}

func TestSilentPeerThatLostItsSessionsIsGreetedAnew(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	bob.restart()
	now := start
	var b []byte
	for n := 0; ; n++ {
		if now.Sub(start) > 20*time.Second {
			t.Fatal("Alice talks to the wall")
		}
		if alice.Next(now, bob.keys.Public) == garlic.NewSession {
			break
		}
		b = alice.say(now, bob, garlic.ExistingSession, n)
		bob.refusesAny(now, b)
		now = now.Add(5 * time.Second)
	}
	if now.Sub(start) < 10*time.Second {
		t.Errorf("gave up after %v", now.Sub(start))
	}
	meet(now, alice, bob)
}

func TestPeerThatNeverAnswersIsGreetedNowAndThen(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	greetings := 0
	for n := range 1000 { // ten messages a second
		now := start.Add(time.Duration(n) * 100 * time.Millisecond)
		form := alice.Next(now, bob.keys.Public)
		if form == garlic.NewSession {
			greetings++
		}
		bob.hear(now, alice, form, n, alice.say(now, bob, form, n))
	}
	if greetings < 5 || greetings > 10 { // after 12 seconds and 17, then ever more rarely
		t.Errorf("%d New Sessions in 100 seconds", greetings)
	}
}

func TestManyGoroutinesMayUseSessions(t *testing.T) {
	bob := newSide(t, garlic.Config{})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 5 {
				meet(start, newSide(t, garlic.Config{}), bob)
				bob.Due(start)
				bob.Expire(start)
			}
		})
	}
	wait.Wait()
}

func TestPeerThatRestartedIsAnsweredInItsNewSession(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	alice.restart()
	meet(start.Add(time.Second), alice, bob)
}

func TestQuietButLivingPeerKeepsItsSession(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	now := start
	for n := range 120 { // ten minutes, in one direction
		now = now.Add(5 * time.Second)
		bob.hear(now, alice, garlic.ExistingSession, n, alice.say(now, bob, garlic.ExistingSession, n))
		due, _ := bob.Due(now.Add(time.Second))
		for range due {
			var o garlic.Opened
			if err := alice.Open(now, bob.tell(now, alice, garlic.ExistingSession, nil, 0), &o); err != nil {
				t.Fatal(err)
			}
		}
		alice.Expire(now)
		bob.Expire(now)
	}
}

func TestLostFirstMessageIsRepeatedWhenRepliesGoOn(t *testing.T) {
	alice, bob := twoSides(t)
	bob.hear(start, alice, garlic.NewSession, 1, alice.say(start, bob, garlic.NewSession, 1))
	alice.hear(start, bob, garlic.NewSessionReply, 2, bob.say(start, alice, garlic.NewSessionReply, 2))
	alice.say(start, bob, garlic.ExistingSession, 3) // lost
	o := alice.hear(start, bob, garlic.NewSessionReply, 4, bob.say(start, alice, garlic.NewSessionReply, 4))
	if !o.Due {
		t.Fatal("another reply does not make Alice repeat herself")
	}
	bob.hear(start, alice, garlic.ExistingSession, 5, alice.say(start, bob, garlic.ExistingSession, 5))
	alice.hear(start, bob, garlic.ExistingSession, 6, bob.say(start, alice, garlic.ExistingSession, 6))
}

func TestRepliesEndAndANewSessionBegins(t *testing.T) {
	alice, bob := twoSides(t)
	bob.hear(start, alice, garlic.NewSession, 1, alice.say(start, bob, garlic.NewSession, 1))
	if later := start.Add(61 * time.Second); bob.Next(later, alice.keys.Public) != garlic.NewSession {
		t.Error("replies after a minute")
	}
	for n := range 32 {
		bob.say(start, alice, garlic.NewSessionReply, n)
	}
	alice.hear(start, bob, garlic.NewSession, 9, bob.say(start, alice, garlic.NewSession, 9))
	bob.hear(start, alice, garlic.NewSessionReply, 9, alice.say(start, bob, garlic.NewSessionReply, 9))
	alice.hear(start, bob, garlic.ExistingSession, 9, bob.say(start, alice, garlic.ExistingSession, 9))
}

func TestRareMessagesDoNotMakeASessionLookDead(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	alice.say(start, bob, garlic.ExistingSession, 1)
	alice.say(start.Add(2*time.Minute), bob, garlic.ExistingSession, 2)
}

func TestSessionWhoseTagSetIsUsedUpIsReplaced(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	for n := 1; n < 65535-512; n++ { // Bob never gets to answer
		alice.say(start, bob, garlic.ExistingSession, n)
	}
	meet(start, alice, bob)
}

func TestReplacedTagSetsAreForgotten(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	alice.RatchetAfter(300)
	late := alice.say(start, bob, garlic.ExistingSession, 1)
	tooLate := alice.say(start, bob, garlic.ExistingSession, 2)
	for n := range 320 {
		bob.hear(start, alice, garlic.ExistingSession, n, alice.say(start, bob, garlic.ExistingSession, n))
	}
	alice.hear(start, bob, garlic.ExistingSession, 1, bob.say(start, alice, garlic.ExistingSession, 1))
	bob.hear(start, alice, garlic.ExistingSession, 2, alice.say(start, bob, garlic.ExistingSession, 2))
	if id, _ := alice.SetIDs(); id != 1 {
		t.Fatalf("tag set %d", id)
	}
	_, before := bob.Len()
	bob.hear(start.Add(3*time.Minute), alice, garlic.ExistingSession, 1, late)
	bob.refuses(start.Add(3*time.Minute+1), tooLate, garlic.ErrUnknown)
	bob.Expire(start.Add(3*time.Minute + 1))
	if _, after := bob.Len(); after > before-300 {
		t.Errorf("%d tags before, %d after the old tag set has expired", before, after)
	}
}

func TestSessionTheOtherSideLostAtOnceIsReplacedSoon(t *testing.T) {
	alice, bob := twoSides(t)
	bob.hear(start, alice, garlic.NewSession, 1, alice.say(start, bob, garlic.NewSession, 1))
	alice.hear(start, bob, garlic.NewSessionReply, 2, bob.say(start, alice, garlic.NewSessionReply, 2))
	bob.restart()
	for n := range 3 {
		alice.say(start.Add(time.Duration(n)*5*time.Second), bob, garlic.ExistingSession, n)
	}
	meet(start.Add(15*time.Second), alice, bob)
}

func TestOldSessionsOfAPeerAreBounded(t *testing.T) {
	alice, bob := twoSides(t)
	for range 40 {
		meet(start, alice, bob)
		alice.restart()
	}
	if _, tags := bob.Len(); tags > 16*(24+2) {
		t.Errorf("%d tags", tags)
	}
}

// TestAPeerMayGoOnWithSeveralSessions: i2pd makes a session for each stream it
// opens before the first reply is there, and uses them side by side.
func TestAPeerMayGoOnWithSeveralSessions(t *testing.T) {
	const streams = 6
	keys, bobKeys := x25519.Generate(), x25519.Generate()
	bob := garlic.New(garlic.Config{}, bobKeys)
	open := func(to *garlic.Sessions, b []byte) {
		t.Helper()
		var o garlic.Opened
		if err := to.Open(start, b, &o); err != nil {
			t.Fatal(err)
		}
	}
	seal := func(from *garlic.Sessions, to x25519.PublicKey) []byte {
		t.Helper()
		b, err := from.Seal(nil, start, to, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var alice [streams]*garlic.Sessions
	var replies [streams][]byte
	for i := range alice {
		alice[i] = garlic.New(garlic.Config{}, keys)
		open(bob, seal(alice[i], bobKeys.Public))
		replies[i] = seal(bob, keys.Public)
	}
	for round := range 3 {
		for i := range alice {
			a := alice[streams-1-i] // the first to be replied to confirms last
			if round == 0 {
				open(a, replies[streams-1-i])
			}
			open(bob, seal(a, bobKeys.Public))
		}
	}
}

func TestPaddingDoesNotPushAMessageIntoAnotherTunnelMessage(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	for _, full := range []int{956, 1912} {
		cloves := []garlic.Clove{numbered(1, full-3-33-9)}
		for range 100 {
			if b := alice.tell(start, bob, garlic.ExistingSession, cloves, 0); len(b) != full+garlic.ExistingSessionOverhead {
				t.Fatalf("%d bytes", len(b))
			}
		}
	}
}

func TestTerminationEndsTheSession(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	b := alice.Terminate(nil, start, bob.keys.Public)
	var o garlic.Opened
	if err := bob.Open(start, b, &o); err != nil || !o.Terminated {
		t.Fatalf("error %v, terminated %v", err, o.Terminated)
	}
	for _, s := range []*side{alice, bob} {
		if peers, tags := s.Len(); peers != 0 || tags != 0 {
			t.Errorf("%d peers, %d tags left", peers, tags)
		}
	}
	if b := alice.Terminate(nil, start, bob.keys.Public); len(b) != 0 {
		t.Error("terminated twice")
	}
}

func TestIdleSessionsAreForgotten(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	later := start.Add(9 * time.Minute)
	alice.Expire(later)
	bob.Expire(later)
	if alice.Next(later, bob.keys.Public) != garlic.NewSession {
		t.Error("sends on a session that the peer may drop any moment")
	}
	if _, tags := bob.Len(); tags == 0 {
		t.Error("does not listen any more")
	}
	later = start.Add(11 * time.Minute)
	for _, s := range []*side{alice, bob} {
		s.Expire(later)
		if peers, tags := s.Len(); peers != 0 || tags != 0 {
			t.Errorf("%d peers, %d tags left", peers, tags)
		}
	}
}

func TestLongSilenceForgetsUnansweredSessions(t *testing.T) {
	alice, bob := twoSides(t)
	for n := range 40 {
		b := alice.say(start, bob, garlic.NewSession, n)
		bob.hear(start, alice, garlic.NewSession, n, b)
		bob.say(start, alice, garlic.NewSessionReply, n)
	}
	if _, tags := alice.Len(); tags > 16*12 {
		t.Errorf("Alice listens for %d tags", tags)
	}
	if _, tags := bob.Len(); tags > 16*24 {
		t.Errorf("Bob listens for %d tags", tags)
	}
	for _, s := range []*side{alice, bob} {
		s.Expire(start.Add(4 * time.Minute))
		if peers, tags := s.Len(); peers != 0 || tags != 0 {
			t.Errorf("%d peers, %d tags left", peers, tags)
		}
	}
}

func TestFormIsKnownByTheTagAlone(t *testing.T) {
	now := time.Now()
	alice, bob := twoSides(t)
	expect := func(s *side, b []byte, want garlic.Form) {
		t.Helper()
		for range 2 { // nothing is taken
			if form := s.Form(now, b); form != want {
				t.Errorf("form %v, want %v", form, want)
			}
		}
	}
	ns := alice.say(now, bob, garlic.NewSession, 1)
	expect(bob, ns, garlic.NewSession)
	bob.hear(now, alice, garlic.NewSession, 1, ns)
	nsr := bob.say(now, alice, garlic.NewSessionReply, 2)
	expect(alice, nsr, garlic.NewSessionReply)
	alice.hear(now, bob, garlic.NewSessionReply, 2, nsr)
	es := alice.say(now, bob, garlic.ExistingSession, 3)
	expect(bob, es, garlic.ExistingSession)
	bob.hear(now, alice, garlic.ExistingSession, 3, es)
	expect(bob, es, garlic.NewSession) // its tag is used up
	expect(bob, es[:7], garlic.NewSession)
}
