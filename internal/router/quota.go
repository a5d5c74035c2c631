package router

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/store"
)

const (
	// quotaAhead is the part of a month's quota by which its use may be ahead
	// of time.
	quotaAhead = 20
	// quotaSize is the size of a state: when the month began in seconds since
	// 1970, and the bytes used since.
	quotaSize = 16
)

// quotaKey is where the state of the quota is kept.
var quotaKey = []byte("month")

// errQuota reports a state that cannot be read.
var errQuota = errors.New("unreadable state")

// quota is the allowance of a month, kept over restarts. When it would not last
// to the month's end at this rate, no more tunnels are carried for others.
type quota struct {
	bucket store.Bucket
	limit  uint64

	mu      sync.Mutex
	month   *bandwidth.Quota
	counted uint64 // bytes of this run
}

// openQuota goes on with the quota in s. It is nil without a limit.
func openQuota(s store.Store, limit uint64, day int) (*quota, error) {
	if limit == 0 {
		return nil, nil
	}
	bucket, err := s.Bucket("quota")
	if err != nil {
		return nil, fmt.Errorf("router: quota: %w", err)
	}
	var state bandwidth.QuotaState
	b, ok, err := bucket.Get(quotaKey)
	switch {
	case err == nil && ok && len(b) == quotaSize:
		state.Begin = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
		state.Used = binary.BigEndian.Uint64(b[8:])
	case err == nil && ok:
		err = errQuota
	}
	if err != nil {
		return nil, fmt.Errorf("router: quota: %w", err)
	}
	return &quota{bucket: bucket, limit: limit, month: bandwidth.NewQuota(limit, day, state)}, nil
}

// count takes note of all bytes since the start, and tells whether the quota
// lasts.
func (q *quota) count(now time.Time, passed uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.month.Add(now, int(passed-q.counted))
	q.counted = passed
	used := q.limit - q.month.Left(now)
	ends := q.month.Ends(now)
	month := ends.Sub(q.month.State().Begin)
	due := float64(q.limit) * (1 - float64(ends.Sub(now))/float64(month))
	return used < q.limit && float64(used) <= due+float64(q.limit)/quotaAhead
}

// left is how many bytes may still go, and until when.
func (q *quota) left(now time.Time) (uint64, time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.month.Left(now), q.month.Ends(now)
}

// flush writes the state.
func (q *quota) flush() error {
	q.mu.Lock()
	state := q.month.State()
	q.mu.Unlock()
	b := binary.BigEndian.AppendUint64(nil, uint64(state.Begin.Unix()))
	return q.bucket.Put(quotaKey, binary.BigEndian.AppendUint64(b, state.Used))
}

// passed is all bytes since the start, both ways.
func (rt *Router) passed() (n uint64) {
	for c := range bandwidth.Classes {
		n += rt.limiter.Total(bandwidth.In, c) + rt.limiter.Total(bandwidth.Out, c)
	}
	return n
}

// economize takes no tunnels of others while the quota would not last.
func (rt *Router) economize(now time.Time) {
	if rt.quota != nil {
		lasts := rt.quota.count(now, rt.passed())
		rt.transit.Accept(lasts && rt.cfg.transit().Accept)
	}
}
