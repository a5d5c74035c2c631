package data

import "strings"

// Letters in the option caps of a RouterInfo besides those of bandwidth and
// congestion.
const (
	CapFloodfill   = 'f'
	CapHidden      = 'H'
	CapReachable   = 'R'
	CapUnreachable = 'U'
)

// bandwidthLetters are the classes from the slowest to the fastest, in KB/s
// shared: K to 12, L to 48, M to 64, N to 128, O to 256, P to 2000, X beyond.
const bandwidthLetters = "KLMNOPX"

// bandwidthLimits are where the classes end, in bytes per second.
var bandwidthLimits = [...]int{12_000, 48_000, 64_000, 128_000, 256_000, 2_000_000}

// BandwidthClass is the letter for a router that shares so many bytes per
// second.
func BandwidthClass(shared int) byte {
	for i, limit := range bandwidthLimits {
		if shared < limit {
			return bandwidthLetters[i]
		}
	}
	return 'X'
}

// Congestion is how loaded a router says it is (proposal 162). Higher is
// worse.
type Congestion uint8

// The levels of congestion.
const (
	NotCongested     Congestion = iota
	MediumCongestion            // D: still usable
	HighCongestion              // E: to be avoided
	RejectsTunnels              // G: takes no tunnels at all
)

// congestionLetters are the letters of the levels from MediumCongestion on.
const congestionLetters = "DEG"

// Capabilities are what a RouterInfo says in its option caps.
type Capabilities struct {
	// Bandwidth is a letter from K to X, 0 if there is none.
	Bandwidth byte
	// Floodfill routers keep the network database.
	Floodfill bool
	// Hidden routers want no one to connect to them.
	Hidden bool
	// Reachable and Unreachable are both false while the router does not know.
	Reachable, Unreachable bool
	Congestion             Congestion
}

// ParseCapabilities reads the letters of a RouterInfo. Of several letters of
// bandwidth or congestion the highest counts; unknown letters do not.
func ParseCapabilities(letters string) (c Capabilities) {
	for _, letter := range []byte(letters) {
		switch letter {
		case CapFloodfill:
			c.Floodfill = true
		case CapHidden:
			c.Hidden = true
		case CapReachable:
			c.Reachable = true
		case CapUnreachable:
			c.Unreachable = true
		}
		if strings.IndexByte(bandwidthLetters, letter) >= 0 {
			c.Bandwidth = max(c.Bandwidth, letter) // they are in the order of the alphabet
		}
		if i := strings.IndexByte(congestionLetters, letter); i >= 0 {
			c.Congestion = max(c.Congestion, Congestion(i+1))
		}
	}
	return c
}

// String is the letters in the order of Java routers.
func (c Capabilities) String() string {
	var b []byte
	add := func(letter byte, is bool) {
		if is {
			b = append(b, letter)
		}
	}
	add(c.Bandwidth, c.Bandwidth != 0)
	add(CapFloodfill, c.Floodfill)
	add(CapHidden, c.Hidden)
	add(CapReachable, c.Reachable)
	add(CapUnreachable, c.Unreachable)
	if c.Congestion != NotCongested {
		b = append(b, congestionLetters[c.Congestion-1])
	}
	return string(b)
}
