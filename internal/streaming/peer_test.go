package streaming_test

import (
	"bytes"
	"testing"
	"time"

	"allium/internal/host"
)

func TestGapsAreReportedUpToTheLimit(t *testing.T) {
	u := &user{}
	f := accepting(t, u)
	p := f.open(9)
	p.payload = []byte("x")
	for seq := uint32(2); seq < 700; seq += 2 { // every other one is missing
		p.sequence = seq
		if err := f.send(p); err != nil {
			t.Fatal(err)
		}
		q := f.last()
		if q.sequence != 0 || len(q.nacks) > 255 || q.ackThrough > seq {
			t.Fatalf("after %d: %d NACKs through %d", seq, len(q.nacks), q.ackThrough)
		}
		// What is acknowledged has arrived, and so what is not reported.
		missing := uint32(0)
		for _, n := range q.nacks {
			if n%2 == 0 || n > q.ackThrough {
				t.Fatalf("after %d: %d is reported missing", seq, n)
			}
			missing++
		}
		if want := (q.ackThrough + 1) / 2; missing != want {
			t.Fatalf("after %d: %d NACKs through %d", seq, missing, q.ackThrough)
		}
	}
	if q := f.last(); len(q.nacks) != 255 || q.ackThrough != 510 {
		t.Errorf("at last %d NACKs through %d", len(q.nacks), q.ackThrough)
	}
	for seq := uint32(1); seq < 512; seq += 2 {
		p.sequence = seq
		if err := f.send(p); err != nil {
			t.Fatal(err)
		}
	}
	if u.count != 512 {
		t.Errorf("%d bytes came", u.count)
	}
}

// TestWhatComesEarlyIsBounded: a peer that leaves the first packet out cannot
// make us keep all the others.
func TestWhatComesEarlyIsBounded(t *testing.T) {
	u := &user{}
	f := accepting(t, u)
	p := f.open(9)
	p.payload = make([]byte, 4096)
	for seq := uint32(2); seq < 512; seq++ {
		p.sequence = seq
		f.send(p)
	}
	kept := int(f.last().ackThrough) - len(f.last().nacks)
	if kept < 100 || kept > 128 {
		t.Errorf("%d packets of 4 KB are kept", kept)
	}
	p.sequence = 1
	f.send(p)
	if u.count != (kept+1)*4096 {
		t.Errorf("%d bytes came of %d packets", u.count, kept+1)
	}
}

func TestEndOfChokeIsToldManyTimes(t *testing.T) {
	u := &user{paused: true}
	f := accepting(t, u)
	p := f.open(9)
	p.payload = make([]byte, 4096)
	for p.sequence = 1; p.sequence < 80; p.sequence++ {
		f.send(p)
	}
	if q := f.last(); q.flags&delay == 0 || q.delay != 61000 {
		t.Fatal("it does not choke")
	}
	u.paused = false
	f.got = nil
	f.e.h.Do(u.notify)
	for ; p.sequence < 120; p.sequence++ {
		f.send(p)
	}
	told := 0
	for _, q := range f.got {
		if q.flags&delay != 0 && q.delay == 0 {
			told++
		}
	}
	if told != 8 {
		t.Errorf("it was told %d times", told)
	}
}

func TestPeersPacketSizeIsKept(t *testing.T) {
	for _, test := range []struct{ announced, want int }{{1024, 1024}, {100, 512}, {4000, 1812}, {0, 1730}} {
		f := accepting(t, &user{out: pattern(1 << 20)})
		p := f.syn(9)
		p.maxSize = uint16(test.announced)
		if test.announced == 0 {
			p.flags &^= maxSize
		}
		if err := f.send(p); err != nil {
			t.Fatal(err)
		}
		if len(f.got) != 6 {
			t.Fatalf("%d packets are the first window", len(f.got))
		}
		for i, q := range f.got {
			if n := len(q.payload); n > test.want || i > 0 && n != test.want {
				t.Errorf("announced %d: packet %d has %d bytes", test.announced, i, n)
			}
		}
	}
}

func TestAcknowledgementsWaitUnlessAsked(t *testing.T) {
	f := accepting(t, &user{})
	p := f.open(9)
	n := len(f.got)
	p.sequence, p.payload = 1, []byte("x")
	f.send(p)
	if len(f.got) != n {
		t.Error("one packet was acknowledged at once")
	}
	f.w.Run(50 * time.Millisecond)
	if len(f.got) != n+1 || f.last().ackThrough != 1 || f.last().sequence != 0 {
		t.Errorf("%d acknowledgements after a while", len(f.got)-n)
	}
	p.sequence, p.flags = 2, delay // of zero
	f.send(p)
	if len(f.got) != n+2 || f.last().ackThrough != 2 {
		t.Error("it was asked for in vain")
	}
	f.send(wirePacket{sendID: p.sendID, receiveID: 9, flags: delay})
	if len(f.got) != n+3 {
		t.Error("a packet without data asked in vain")
	}
	f.send(wirePacket{sendID: p.sendID, receiveID: 9})
	f.w.Run(time.Second)
	if len(f.got) != n+3 {
		t.Error("an acknowledgement was acknowledged")
	}
}

// TestDataOvertakesTheSYN: packets with no id of ours wait for their SYN.
func TestDataOvertakesTheSYN(t *testing.T) {
	u := &user{}
	f := accepting(t, u)
	f.send(wirePacket{receiveID: 9, sequence: 2, payload: []byte("two")})
	f.send(wirePacket{receiveID: 9, sequence: 1, payload: []byte("one")})
	p := f.syn(9)
	p.payload = []byte("zero")
	if err := f.send(p); err != nil || string(u.got) != "zeroonetwo" {
		t.Errorf("%v, got %q", err, u.got)
	}
	f.send(wirePacket{receiveID: 9, sequence: 3, payload: []byte("three")})
	if string(u.got) != "zeroonetwothree" {
		t.Errorf("got %q", u.got)
	}
	for id := range uint32(1000) {
		f.send(wirePacket{receiveID: 100 + id, sequence: 1, payload: make([]byte, 4096)})
	}
	if f.e.Len() != 1 {
		t.Error("strays opened streams")
	}
}

// TestAcknowledgementBeforeOurIDSaysNothing: an old router's SYN has no
// flag against its acknowledgement of zero, which is our answer's number.
func TestAcknowledgementBeforeOurIDSaysNothing(t *testing.T) {
	f := accepting(t, &user{})
	p := f.syn(9)
	p.flags &^= noAck
	p.nacks = nil
	f.send(p)
	f.send(wirePacket{receiveID: 9, sequence: 1})
	f.w.Run(20 * time.Second)
	answers := 0
	for _, q := range f.got {
		if q.flags&syn != 0 {
			answers++
		}
	}
	if answers < 2 {
		t.Errorf("the answer was sent %d times", answers)
	}
}

// TestPeerThatForgetsAfterClosing: i2pd acknowledges nothing more once it has
// closed and what it sent has arrived.
func TestPeerThatForgetsAfterClosing(t *testing.T) {
	u := &user{}
	f := accepting(t, u)
	p := f.open(9)
	p.sequence, p.flags = 1, closing|sig
	f.send(p)
	f.e.h.Do(u.s.CloseWrite)
	f.w.Run(2 * time.Minute)
	closes := 0
	for _, q := range f.got {
		if q.flags&reset != 0 {
			t.Error("it was reset")
		}
		if q.flags&closing != 0 {
			closes++
		}
	}
	if closes < 2 || closes > 3 || f.e.Len() != 0 {
		t.Errorf("%d times CLOSE, %d streams are left", closes, f.e.Len())
	}
}

// TestChokeIsOverWhenAProbeArrives: i2pd chokes and never says that it is over.
func TestChokeIsOverWhenAProbeArrives(t *testing.T) {
	for _, value := range []uint16{60000, 61000, 65535} {
		u := &user{out: pattern(200000)}
		f := accepting(t, u)
		p := f.open(9)
		sequence := func() (highest uint32) {
			for _, q := range f.got {
				highest = max(highest, q.sequence)
			}
			return highest
		}
		ack := func(flags uint16) {
			p.ackThrough, p.flags, p.delay = sequence(), flags, value
			f.send(p)
		}
		ack(delay)
		before := sequence()
		f.w.Run(time.Second)
		if sequence() != before {
			t.Errorf("delay %d: it went on", value)
		}
		f.w.Run(1500 * time.Millisecond)
		if sequence() != before+1 {
			t.Errorf("delay %d: %d probes", value, sequence()-before)
		}
		ack(0)
		if sequence() < before+3 {
			t.Errorf("delay %d: it did not go on after the probe", value)
		}
	}
}

// TestSendsNoFurtherThanAPeerKeeps: Java keeps 130 packets beyond a gap.
func TestSendsNoFurtherThanAPeerKeeps(t *testing.T) {
	f := accepting(t, &user{out: pattern(4 << 20)})
	p := f.open(9)
	highest := uint32(0)
	for range 1000 {
		for _, q := range f.got {
			highest = max(highest, q.sequence)
		}
		f.got = f.got[:0]
		p.ackThrough, p.nacks = highest, []uint32{1} // never arrives
		if highest < 1 {
			p.nacks = nil
		}
		f.send(p)
		f.w.Run(10 * time.Millisecond)
	}
	if highest < 100 || highest > 128 {
		t.Errorf("packet %d was sent with the first missing", highest)
	}
}

func TestLossIsRepairedBeforeTheTimeOut(t *testing.T) {
	u := &user{out: pattern(8 * 1812)}
	f := accepting(t, u)
	p := f.open(9)
	f.got = nil
	for ack := uint32(3); ack <= 6; ack++ {
		f.w.Run(100 * time.Millisecond)
		p.ackThrough, p.nacks = ack, []uint32{2}
		f.send(p)
		repaired := false
		for _, q := range f.got {
			repaired = repaired || q.sequence == 2
		}
		if want := ack >= 5; repaired != want {
			t.Errorf("after %d reports: sent again: %v", ack-2, repaired)
		}
	}
}

// TestNonsenseAcknowledgementsDoNoHarm: the peer acknowledges what was never
// sent, and reports gaps in no order.
func TestNonsenseAcknowledgementsDoNoHarm(t *testing.T) {
	want := pattern(4 * 1812)
	u := &user{out: want}
	f := accepting(t, u)
	p := f.open(9)
	p.ackThrough = 1 << 30
	f.send(p)
	p.ackThrough, p.nacks = 4, []uint32{3, 1 << 31, 1, 3, 2, 0}
	f.send(p)
	f.w.Run(time.Minute)
	got := make(map[uint32][]byte)
	times := make(map[uint32]int)
	for _, q := range f.got {
		got[q.sequence] = q.payload
		times[q.sequence]++
	}
	if times[1] < 2 || times[2] < 2 || times[4] > 1 {
		t.Errorf("sent %v", times)
	}
	var all []byte
	for seq := range uint32(6) {
		all = append(all, got[seq]...)
	}
	if !bytes.Equal(all, want) {
		t.Errorf("%d bytes were sent", len(all))
	}
}

// TestFailedSendIsLikeALoss: no tunnel yet, for a while.
func TestFailedSendIsLikeALoss(t *testing.T) {
	broken := true
	p := &path{delay: 50 * time.Millisecond, tap: func(*end, []byte) bool { return !broken }}
	w, a, b := newPair(t, 1, config(), p)
	client := &user{out: []byte("hi"), finish: true}
	b.serve(t, func() *user { return &user{out: []byte("hello"), finish: true} })
	client.open(t, a, b)
	w.Run(4 * time.Second)
	broken = false
	w.Run(10 * time.Second)
	if string(client.got) != "hello" {
		t.Errorf("got %q, %v", client.got, client.err)
	}
	a.h.Do(func(r *host.Round) {
		if n, err := client.s.Write(r, []byte("x")); n != 0 || err == nil {
			t.Errorf("writing after CloseWrite: %d, %v", n, err)
		}
	})
}
