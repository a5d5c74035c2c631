package bandwidth

import "time"

// travel is how far the beginning of one and the same month moves when the
// machine changes its time zone.
const travel = 48 * time.Hour

// Quota is an allowance of bytes for each month. It has no lock: its owner's
// is enough.
type Quota struct {
	limit uint64
	day   int
	state QuotaState
}

// QuotaState is what has to outlive the process for a quota to be kept.
type QuotaState struct {
	Begin time.Time // of the month
	Used  uint64    // bytes since
}

// NewQuota makes a quota of limit bytes for each month that begins with the
// given day, 1 to 28, at midnight in the location of the times it is told. It
// goes on from state, which is zero the first time.
func NewQuota(limit uint64, day int, state QuotaState) *Quota {
	return &Quota{limit: limit, day: min(max(day, 1), 28), state: state}
}

// Add counts n bytes, which are not negative, at now.
func (q *Quota) Add(now time.Time, n int) {
	q.turn(now)
	q.state.Used += uint64(n)
}

// Left is how many bytes may still go in the month of now.
func (q *Quota) Left(now time.Time) uint64 {
	q.turn(now)
	return q.limit - min(q.state.Used, q.limit)
}

// Ends is when the month of now ends and a full quota begins.
func (q *Quota) Ends(now time.Time) time.Time {
	q.turn(now)
	return q.state.Begin.In(now.Location()).AddDate(0, 1, 0)
}

// State is what NewQuota needs to go on from here.
func (q *Quota) State() QuotaState { return q.state }

// turn begins another month when now is not in the present one. A later month
// begins with nothing used. To an earlier one, when the clock was put back,
// what was used goes along: a wrong clock does not give it back.
func (q *Quota) turn(now time.Time) {
	year, month, day := now.Date()
	if day < q.day {
		month-- // Date takes month 0 for December of the year before
	}
	begin := time.Date(year, month, q.day, 0, 0, 0, 0, now.Location())
	if begin.Sub(q.state.Begin) > travel {
		q.state.Used = 0
	}
	q.state.Begin = begin
}
