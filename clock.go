package allium

import (
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/nettime"
)

// TimeConfig is where the time comes from.
type TimeConfig = nettime.Config

// ownNetwork tells a network of one's own, which bothers nobody outside.
func (s *Settings) ownNetwork() bool { return s.Private || s.Network != data.MainNet }

// keepTime begins to keep the router's clock right.
func (r *Router) keepTime() {
	r.clock = nettime.Start(r.cfg.Settings.Time, nettime.Wiring{
		Dialer:  r.cfg.Settings.timeDialer(),
		Private: r.cfg.Settings.ownNetwork(),
		Peers:   r.rt.ClockSkews,
		Adjust: func(offset, moved time.Duration) {
			r.host.Adjust(offset)
			r.rt.ClockStepped(moved)
		},
		Jumped: func(by time.Duration) {
			r.rt.ForgetClockSkews()
			r.host.Do(func(round *host.Round) { r.rt.Jumped(round, by) })
			r.askGateway()
			r.reseeder.Poke() // by a wrong clock, certificates are wrong
		},
		Log: r.log,
	})
}

// Clock is how well the time is known.
type Clock struct {
	OffsetS float64 `json:"offset_s"` // what is added to the system's clock
	// Known tells that servers or peers confirmed the time since the start or
	// the machine's last sleep, Source who last did, and Checked when.
	Known   bool      `json:"known"`
	Source  string    `json:"source"`
	Checked time.Time `json:"checked"`
	// Reason is why nobody can confirm it now.
	Reason  string       `json:"reason"`
	Servers []TimeServer `json:"servers"`
	Peers   int          `json:"peers"` // whose clocks are known
}

// TimeServer is what came of asking a time server.
type TimeServer struct {
	Name     string  `json:"name"`
	Answered bool    `json:"answered"`
	AheadS   float64 `json:"ahead_s"` // of our time, when it last answered
	Error    string  `json:"error,omitempty"`
}

func clockStatus(s nettime.Status) Clock {
	c := Clock{
		OffsetS: s.Offset.Seconds(), Known: s.Known, Source: string(s.Source), Checked: s.Checked,
		Reason: string(s.Reason), Peers: s.Peers, Servers: []TimeServer{},
	}
	for _, v := range s.Servers {
		server := TimeServer{Name: v.Name, Answered: v.Answered, AheadS: v.Ahead.Seconds()}
		if v.Err != nil {
			server.Error = v.Err.Error()
		}
		c.Servers = append(c.Servers, server)
	}
	return c
}
