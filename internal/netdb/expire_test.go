package netdb_test

import (
	"errors"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
)

// publish lets d know so many routers that published at a time.
func publish(t testing.TB, d *netdb.DB, n int, at time.Time) []*data.RouterInfo {
	t.Helper()
	var all []*data.RouterInfo
	for range n {
		ri := newPeer(t).info(t, at)
		mustAdd(t, d, at, ri)
		all = append(all, ri)
	}
	return all
}

func known(d *netdb.DB, all []*data.RouterInfo) (n int) {
	for _, ri := range all {
		if d.RouterInfo(ri.Hash()) != nil {
			n++
		}
	}
	return n
}

func TestOldRoutersStayWhileThereAreFewFreshOnes(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	old := publish(t, d, 200, noon)
	now := noon.Add(14 * 24 * time.Hour) // the machine was off
	publish(t, d, 89, now)
	d.Expire(now)
	if n := known(d, old); n != 200 {
		t.Errorf("%d of 200 left", n)
	}
	publish(t, d, 1, now)
	d.Expire(now)
	if n := known(d, old); n != 0 || d.Len() != 90 {
		t.Errorf("%d left when there were enough others", n)
	}
	d.Expire(now.Add(28 * 24 * time.Hour))
	if d.Len() != 90 {
		t.Errorf("%d left before time", d.Len())
	}
	d.Expire(now.Add(28*24*time.Hour + time.Second))
	if d.Len() != 0 {
		t.Errorf("%d left after four weeks", d.Len())
	}
}

func TestTheMoreAreFreshTheYoungerTheyMustBe(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	for _, c := range []struct {
		fresh int
		limit time.Duration
	}{
		{90, 27 * time.Hour}, {180, 14 * time.Hour}, {900, 3*time.Hour + 36*time.Minute},
	} {
		d := newDB(t, netdb.Config{})
		now := noon.Add(27 * time.Hour)
		young, old := publish(t, d, 1, now.Add(-c.limit)), publish(t, d, 1, now.Add(-c.limit-time.Second))
		publish(t, d, c.fresh, now)
		d.Expire(now)
		if known(d, young) != 1 || known(d, old) != 0 {
			t.Errorf("with %d: %v %v", c.fresh, known(d, young), known(d, old))
		}
		if _, err := d.AddRouter(now, old[0]); !errors.Is(err, netdb.ErrExpired) {
			t.Errorf("took what it would forget: %v", err)
		}
	}
}

func TestRoutersWeMetStayLonger(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	now := noon.Add(26 * time.Hour)
	met := publish(t, d, 1, noon)
	d.Reached(noon, met[0].Hash())
	publish(t, d, 900, now)
	d.Expire(now)
	if known(d, met) != 1 {
		t.Error("forgotten")
	}
}
