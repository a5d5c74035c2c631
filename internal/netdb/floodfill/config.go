package floodfill

import (
	"time"

	"allium/internal/data"
)

// Config says whether to be a floodfill. A zero in a field stands for its
// default.
type Config struct {
	Role       Role   `default:"auto" choices:"auto,on,off" help:"Whether to be a floodfill, which keeps a part of the network database for others. auto is one while the router is fast, reachable and not loaded."`
	MinVersion string `default:"0.9.59" help:"The oldest router.version of floodfills to pass entries on to."`
}

// Role says whether to be a floodfill.
type Role string

// The roles. The empty one is Auto.
const (
	Auto Role = "auto"
	On   Role = "on"
	Off  Role = "off"
)

// defaultMinVersion is MinVersion unless set.
const defaultMinVersion = 959

func (c Config) minVersion() int {
	if v, ok := data.ParseVersion(c.MinVersion); ok {
		return v
	}
	return defaultMinVersion
}

// What Auto demands (Java).
const (
	autoUptime = 2 * time.Hour
	autoShare  = 128_000
)

// Standing is how the router is doing.
type Standing struct {
	// Uptime is how long it has been running.
	Uptime time.Duration
	// Share is its bandwidth for others, in bytes per second.
	Share int
	// Reachable is whether others can connect to it.
	Reachable bool
	// Hidden routers are floodfills in no role.
	Hidden bool
	// Congested is whether it is loaded.
	Congested bool
}

// Wants reports whether a router that stands so is a floodfill in its role.
func (c Config) Wants(s Standing) bool {
	switch {
	case s.Hidden || c.Role == Off:
		return false
	case c.Role == On:
		return true
	}
	return s.Uptime >= autoUptime && s.Share >= autoShare && s.Reachable && !s.Congested
}
