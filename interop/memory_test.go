//go:build interop

package interop

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"
)

var resident = regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB$`)

// memory is the resident memory of a program, in MB.
func (p *process) memory() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	m := resident.FindSubmatch(b)
	if m == nil {
		return 0, fmt.Errorf("%s has no memory", p.name)
	}
	kb, err := strconv.Atoi(string(m[1]))
	return float64(kb) / 1024, err
}

// series is a value over time.
type series struct {
	at    []time.Duration
	value []float64
}

func (s *series) add(at time.Duration, value float64) {
	s.at, s.value = append(s.at, at), append(s.value, value)
}

// slope is by how much the value grows in an hour: that of the straight line
// with the least squares, through what came after a time.
func (s *series) slope(after time.Duration) float64 {
	var n, sumX, sumY, sumXX, sumXY float64
	for i, at := range s.at {
		if at < after {
			continue
		}
		x, y := at.Hours(), s.value[i]
		n, sumX, sumY, sumXX, sumXY = n+1, sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	if d := n*sumXX - sumX*sumX; d > 0 {
		return (n*sumXY - sumX*sumY) / d
	}
	return 0
}

// last is the newest value, 0 if there is none.
func (s *series) last() float64 {
	if len(s.value) == 0 {
		return 0
	}
	return s.value[len(s.value)-1]
}
