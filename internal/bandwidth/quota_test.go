package bandwidth_test

import (
	"testing"
	"time"

	. "allium/internal/bandwidth"
)

func TestQuotaRunsOutExactly(t *testing.T) {
	q := NewQuota(1000, 1, QuotaState{})
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	q.Add(now, 999)
	if left := q.Left(now); left != 1 {
		t.Errorf("left are %d", left)
	}
	q.Add(now, 2)
	if left := q.Left(now); left != 0 {
		t.Errorf("overdrawn, left are %d", left)
	}
}

func TestQuotaBeginsAnewOnItsDay(t *testing.T) {
	zone := time.FixedZone("east", 5*3600)
	for _, c := range []struct{ day, year, month, last int }{
		{1, 2026, 12, 31},
		{15, 2026, 12, 14},
		{28, 2027, 2, 27},
		{1, 2028, 2, 29},
		{0, 2026, 11, 30}, // out of range: the nearest
	} {
		q := NewQuota(1000, c.day, QuotaState{})
		eve := time.Date(c.year, time.Month(c.month), c.last, 23, 59, 59, 0, zone)
		q.Add(eve, 600)
		if left := q.Left(eve); left != 400 {
			t.Errorf("day %d: on the eve, left are %d", c.day, left)
		}
		anew := eve.Add(time.Second)
		if ends := q.Ends(eve); !ends.Equal(anew) {
			t.Errorf("day %d: ends %v", c.day, ends)
		}
		if left := q.Left(anew); left != 1000 {
			t.Errorf("day %d: a second later, left are %d", c.day, left)
		}
	}
}

func TestQuotaGoesOnAfterARestart(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	q := NewQuota(1000, 10, QuotaState{})
	q.Add(now, 300)
	q = NewQuota(1000, 10, q.State())
	if left := q.Left(now.Add(time.Hour)); left != 700 {
		t.Errorf("the same month, left are %d", left)
	}
	q = NewQuota(1000, 10, q.State())
	if left := q.Left(now.AddDate(0, 1, 0)); left != 1000 {
		t.Errorf("the next month, left are %d", left)
	}
}

func TestWrongClockOrZoneGivesNothingBack(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	q := NewQuota(1000, 10, QuotaState{})
	q.Add(now, 300)
	if left := q.Left(time.Unix(0, 0)); left != 700 {
		t.Errorf("with the clock at its beginning, left are %d", left)
	}
	q = NewQuota(1000, 10, QuotaState{Begin: time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC), Used: 300})
	west := now.In(time.FixedZone("west", -11*3600))
	if left := q.Left(west); left != 700 {
		t.Errorf("in another zone, left are %d", left)
	}
}
