package pool

import (
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
)

// Config is how many tunnels of which length a pool keeps.
type Config struct {
	Inbound  Direction `help:"Tunnels towards us."`
	Outbound Direction `help:"Tunnels away from us."`
}

// of is the half of it for one direction.
func (c *Config) of(d build.Direction) Direction {
	if d == build.Inbound {
		return c.Inbound
	}
	return c.Outbound
}

// Direction is the half of it for one direction.
type Direction struct {
	// Length is the number of remote hops.
	Length int `default:"3" min:"0" max:"7" unit:"hops" help:"How many routers each tunnel passes. Fewer are faster, and hide less."`
	// Variance makes lengths differ: up to so many hops more at random, or
	// with a negative number more or less.
	Variance int `default:"0" min:"-2" max:"2" unit:"hops" help:"Up to so many hops more at random. A negative number means more or less."`
	// Quantity is the number of tunnels.
	Quantity int `default:"3" min:"1" max:"16" help:"How many tunnels there are at a time."`
}

// ExploratoryConfig is a Config whose tunnels have two hops unless told
// otherwise: they carry no application's traffic.
type ExploratoryConfig struct {
	Inbound  ExploratoryDirection `help:"Tunnels towards us."`
	Outbound ExploratoryDirection `help:"Tunnels away from us."`
}

// ExploratoryDirection is the half of it for one direction.
type ExploratoryDirection struct {
	Length   int `default:"2" min:"0" max:"7" unit:"hops" help:"How many routers each tunnel passes. Fewer are faster, and hide less."`
	Variance int `default:"0" min:"-2" max:"2" unit:"hops" help:"Up to so many hops more at random. A negative number means more or less."`
	Quantity int `default:"3" min:"1" max:"16" help:"How many tunnels there are at a time."`
}

// Config is the same as for any pool.
func (c ExploratoryConfig) Config() Config {
	return Config{Inbound: Direction(c.Inbound), Outbound: Direction(c.Outbound)}
}

// draw is the length of the next tunnel of a direction that has hops: one at
// least.
func (d Direction) draw() int {
	n := d.Length
	switch {
	case d.Variance > 0:
		n += random.IntN(d.Variance + 1)
	case d.Variance < 0:
		n += random.IntN(2*-d.Variance+1) + d.Variance
	}
	return min(max(n, 1), tunnel.MaxHops)
}
