package nettime

import (
	"context"
	"errors"
	"net"
	"runtime/debug"
	"time"

	"github.com/beevik/ntp"
)

// askTimeout bounds a question: the name, and the answer.
const askTimeout = 4 * time.Second

// release is about when this version was made, for builds that do not tell.
var release = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// machine is what a Clock sees of the world.
type machine interface {
	// read reads the machine's clocks.
	read() reading
	// ask asks a time server. It returns soon after ctx is done.
	ask(ctx context.Context, name string) answer
	// built is when the program was made.
	built() time.Time
}

// answer is what came of asking a server.
type answer struct {
	name string
	// heardFrom is the address that answered, empty if none did.
	heardFrom string
	ahead     time.Duration // of the system's clock
	goAway    bool          // it does not want to be asked
	err       error
}

// system is the real machine.
type system struct {
	dialer net.Dialer
	began  time.Time
}

func (s *system) read() reading {
	now := time.Now()
	return reading{wall: now.Round(0), awake: now.Sub(s.began), boot: sinceBoot()}
}

func (s *system) built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	for _, v := range info.Settings {
		if v.Key != "vcs.time" {
			continue
		}
		if t, err := time.Parse(time.RFC3339, v.Value); err == nil && t.After(release) {
			return t
		}
	}
	return release
}

func (s *system) ask(ctx context.Context, name string) answer {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a := answer{name: name}
	from := ""
	response, err := ntp.QueryWithOptions(name, ntp.QueryOptions{
		Timeout: askTimeout,
		Dialer: func(_, remote string) (net.Conn, error) {
			conn, err := s.dialer.DialContext(ctx, "udp", remote)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			from = conn.RemoteAddr().String()
			return conn, nil
		},
	})
	if err == nil {
		err = response.Validate()
	}
	if err != nil {
		a.err, a.goAway = err, errors.Is(err, ntp.ErrKissOfDeath)
		return a
	}
	a.heardFrom, a.ahead = from, response.ClockOffset
	return a
}
