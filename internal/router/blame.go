package router

import (
	"time"

	"allium/internal/data"
	"allium/internal/profile"
	"allium/internal/transport"
)

// answerTime is how long peers are waited for, at most, before they are said
// to be silent.
const answerTime = 10 * time.Second

// fair is the profiles for those who wait for answers. While nobody at all is
// heard, it is our own network that is silent, and no peer is blamed for it.
type fair struct {
	*profile.Profiles
	transport *transport.Transport
}

func (f fair) silent(now time.Time) bool {
	return f.transport.Heard().Before(now.Add(-answerTime))
}

// TunnelTimeout notes a build that was not answered.
func (f fair) TunnelTimeout(now time.Time, hops ...data.Hash) {
	if !f.silent(now) {
		f.Profiles.TunnelTimeout(now, hops...)
	}
}

// TestFailed notes a test that did not come back.
func (f fair) TestFailed(now time.Time, hops ...data.Hash) {
	if !f.silent(now) {
		f.Profiles.TestFailed(now, hops...)
	}
}

// LookupFailed notes a floodfill that did not answer.
func (f fair) LookupFailed(now time.Time, h data.Hash) {
	if !f.silent(now) {
		f.Profiles.LookupFailed(now, h)
	}
}
