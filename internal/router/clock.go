package router

import "time"

// ClockSkews are how far the clocks of authenticated peers are ahead of ours,
// in order; in public one for each network.
func (rt *Router) ClockSkews() []time.Duration { return rt.transport.ClockSkews() }

// ClockStepped tells that the host's time has been moved ahead by so much.
func (rt *Router) ClockStepped(by time.Duration) {
	rt.mu.Lock()
	rt.started = rt.started.Add(by)
	rt.mu.Unlock()
	rt.transport.ClockStepped(by)
}

// ForgetClockSkews tells that the host's time is another one than that which
// peers were compared with.
func (rt *Router) ForgetClockSkews() { rt.transport.ForgetClockSkews() }

// uptime is how long the router has been running.
func (rt *Router) uptime(now time.Time) time.Duration {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return now.Sub(rt.started)
}
