package allium_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"allium"
	"allium/internal/data"
)

// timeServers are three time servers on loopback, ahead of the system's clock.
func timeServers(t *testing.T, ahead time.Duration) []string {
	t.Helper()
	var all []string
	for range 3 {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		t.Cleanup(func() { conn.Close(); <-served })
		go func() { defer close(served); tellTime(conn, ahead) }()
		all = append(all, conn.LocalAddr().String())
	}
	return all
}

// tellTime answers NTP until conn is closed.
func tellTime(conn net.PacketConn, ahead time.Duration) {
	const to1970 = 2208988800
	b := make([]byte, 1024)
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		if n < 48 {
			continue
		}
		answer := make([]byte, 48)
		answer[0], answer[1], answer[3] = 4<<3|4, 2, 0xec // version 4, server, stratum 2
		now := uint64(time.Now().Add(ahead).Unix()+to1970) << 32
		binary.BigEndian.PutUint64(answer[16:], now)
		copy(answer[24:32], b[40:48])
		binary.BigEndian.PutUint64(answer[32:], now)
		binary.BigEndian.PutUint64(answer[40:], now)
		_, _ = conn.WriteTo(answer, from)
	}
}

// TestARouterWhoseClockIsThreeYearsBehindWorks joins a network
// whose time is three years ahead of this machine's.
func TestARouterWhoseClockIsThreeYearsBehindWorks(t *testing.T) {
	const ahead = 3 * 365 * 24 * time.Hour
	servers := timeServers(t, ahead)
	timely := func(floodfill allium.FloodfillRole) *allium.Router {
		cfg := allium.Config{Settings: privateSettings()}
		cfg.Settings.Floodfill = floodfill
		cfg.Settings.Time.Servers = servers
		r := start(t, cfg)
		t.Cleanup(func() { r.Close() })
		return r
	}
	known := func(r *allium.Router) {
		t.Helper()
		giveUp := time.Now().Add(patience)
		for !r.Status().Clock.Known {
			if time.Now().After(giveUp) {
				t.Fatalf("%+v", r.Status().Clock)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	all := []*allium.Router{timely(allium.FloodfillOn), timely(allium.FloodfillOn), timely(allium.FloodfillOff)}
	for _, r := range all {
		known(r)
	}
	introduce(all)
	late := timely(allium.FloodfillOff)
	known(late)
	introduce(append(all, late))
	if err := late.Ready(patiently(t)); err != nil {
		t.Fatal(err)
	}
	s := late.Status()
	if s.Clock.Source != "servers" || len(s.Clock.Servers) != 3 || s.UptimeS > time.Hour.Seconds() || s.UptimeS < 0 {
		t.Errorf("%+v, up for %v s", s.Clock, s.UptimeS)
	}
	ri, err := data.ParseRouterInfo(late.RouterInfo())
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Until(ri.Published()) - ahead; off.Abs() > time.Minute {
		t.Errorf("published at %v", ri.Published())
	}
}
