package streaming_test

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// transfer sends n bytes from a to b and returns how long it took.
func transfer(t testing.TB, n int, p path) (took time.Duration, a, b *end) {
	t.Helper()
	w, a, b := newPair(t, 7, config(), &p)
	want := pattern(n)
	from := &user{out: want, finish: true}
	to := &user{finish: true}
	b.serveOne(t, to)
	from.open(t, a, b)
	start := w.Now()
	if !w.RunUntil(func() bool { return to.err != nil && from.err != nil }, 24*time.Hour) {
		t.Fatalf("%d of %d bytes have come", to.count, n)
	}
	took = w.Now().Sub(start)
	if to.err != io.EOF || from.err != io.EOF {
		t.Errorf("the ends are %v and %v", to.err, from.err)
	}
	if !bytes.Equal(to.got, want) {
		t.Errorf("%d bytes came, not those that were sent", len(to.got))
	}
	w.Run(10 * time.Minute)
	if a.Len()+b.Len() != 0 {
		t.Errorf("%d and %d streams are left", a.Len(), b.Len())
	}
	return took, a, b
}

func TestBytesArriveWhateverThePathDoes(t *testing.T) {
	for _, test := range []struct {
		name string
		path path
		n    int
	}{
		{"clean", path{delay: 100 * time.Millisecond}, 5 << 20},
		{"loss", path{delay: 100 * time.Millisecond, loss: 0.05}, 5 << 20},
		{"reordering", path{delay: 50 * time.Millisecond, jitter: 100 * time.Millisecond}, 5 << 20},
		{"all", path{delay: 300 * time.Millisecond, jitter: 60 * time.Millisecond, loss: 0.05, dup: 0.05}, 100 << 20},
		{"heavy loss", path{delay: 20 * time.Millisecond, loss: 0.3}, 200 << 10},
		{"nothing", path{delay: 100 * time.Millisecond, loss: 0.05}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.path
			p.unbound = true
			if raceEnabled {
				test.n = min(test.n, 5<<20)
			}
			took, a, b := transfer(t, test.n, p)
			t.Logf("%d bytes in %v, %d packets there and %d back", test.n, took, a.sent, b.sent)
			if len(a.errs)+len(b.errs) != 0 {
				t.Errorf("errors: %v %v", a.errs, b.errs)
			}
		})
	}
}

func TestWindowFillsAPathWithoutLoss(t *testing.T) {
	const rtt = 5 * time.Millisecond
	took, a, _ := transfer(t, 50<<20, path{delay: rtt / 2})
	limit := float64(128*1812) / rtt.Seconds()
	rate := float64(50<<20) / took.Seconds()
	t.Logf("%.1f of %.1f MB/s, %d packets", rate/1e6, limit/1e6, a.sent)
	if rate < 0.8*limit {
		t.Errorf("%.1f MB/s of %.1f", rate/1e6, limit/1e6)
	}
}

// asNobodyAsks takes out of a packet that an acknowledgement is wanted at once.
func asNobodyAsks(_ *end, payload []byte) bool {
	const flags, synchronize, delayRequested, options = 18, 1, 1 << 6, 22
	if payload[16] == 0 && payload[flags+1]&synchronize == 0 && payload[flags+1]&delayRequested != 0 {
		payload[options], payload[options+1] = 0, 200
	}
	return true
}

// TestShortPathsAreAcknowledgedSoon: i2pd does not ask for acknowledgements,
// and takes a packet for lost that has none within 20 milliseconds where the
// path allows for that.
func TestShortPathsAreAcknowledgedSoon(t *testing.T) {
	for oneWay, within := range map[time.Duration]time.Duration{
		time.Millisecond:       5 * time.Millisecond,
		100 * time.Millisecond: 250 * time.Millisecond,
	} {
		w, a, b := newPair(t, 4, config(), &path{delay: oneWay, tap: asNobodyAsks})
		server := &user{}
		b.serveOne(t, server)
		client := &user{out: []byte("hello")}
		client.open(t, a, b)
		w.Run(5 * time.Second) // the server has heard that its answer arrived
		for range 3 {
			sent, at := b.sent, w.Now()
			client.out = []byte("more")
			a.h.Do(client.notify)
			if !w.RunUntil(func() bool { return b.sent > sent }, time.Second) {
				t.Fatal("no acknowledgement")
			}
			if took := w.Now().Sub(at); took < oneWay || took > within {
				t.Errorf("%v one way: acknowledged after %v", oneWay, took)
			}
			w.Run(5 * time.Second)
		}
	}
}
