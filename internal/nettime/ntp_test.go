package nettime_test

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"allium/internal/nettime"
)

// ntpServer answers questions on loopback with what reply makes of them.
func ntpServer(t *testing.T, reply func(question []byte) []byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := reply(b[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// ntpTime is a time as NTP writes it.
func ntpTime(t time.Time) uint64 {
	const to1970 = 2208988800
	return uint64(t.Unix()+to1970)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// telling is the answer of a server that is ahead of us.
func telling(ahead time.Duration) func(question []byte) []byte {
	return func(question []byte) []byte {
		b := make([]byte, 48)
		b[0], b[1], b[2], b[3] = 4<<3|4, 2, 6, 0xec // version 4, server, stratum 2
		now := ntpTime(time.Now().Add(ahead))
		binary.BigEndian.PutUint32(b[12:], 0x7f000001)
		binary.BigEndian.PutUint64(b[16:], ntpTime(time.Now().Add(ahead-time.Minute)))
		copy(b[24:32], question[40:48])
		binary.BigEndian.PutUint64(b[32:], now)
		binary.BigEndian.PutUint64(b[40:], now)
		return b
	}
}

func TestAServerTellsHowFarItIsAhead(t *testing.T) {
	for _, ahead := range []time.Duration{0, 3 * year, -3 * year} {
		at := ntpServer(t, telling(ahead))
		from, got, goAway, err := nettime.Ask(t.Context(), net.Dialer{}, at)
		if err != nil || goAway || from != at || (got-ahead).Abs() > time.Second {
			t.Errorf("%v of %s, %v, %v", got, from, goAway, err)
		}
	}
}

func TestBadAnswersAreNone(t *testing.T) {
	for name, reply := range map[string]func([]byte) []byte{
		"short":    func([]byte) []byte { return make([]byte, 20) },
		"garbage":  func([]byte) []byte { return []byte(strings.Repeat("x", 48)) },
		"replayed": func(q []byte) []byte { b := telling(0)(q); b[30]++; return b },
		"unsynced": func(q []byte) []byte { b := telling(0)(q); b[0] |= 3 << 6; return b },
		"echo":     func(q []byte) []byte { return q },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if from, ahead, goAway, err := nettime.Ask(ctx, net.Dialer{}, ntpServer(t, reply)); err == nil || goAway || from != "" || ahead != 0 {
			t.Errorf("%s: %v of %q, %v", name, ahead, from, err)
		}
		cancel()
	}
	kiss := func(q []byte) []byte { b := telling(0)(q); b[1] = 0; copy(b[12:], "RATE"); return b }
	if _, _, goAway, err := nettime.Ask(t.Context(), net.Dialer{}, ntpServer(t, kiss)); err == nil || !goAway {
		t.Errorf("a server that does not want to be asked: %v, %v", goAway, err)
	}
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	at := ntpServer(t, func([]byte) []byte { cancel(); return nil })
	if _, _, _, err := nettime.Ask(ctx, net.Dialer{}, at); err == nil {
		t.Error("an answer of nobody")
	}
}

// TestTheRealThing has a clock ask real sockets.
func TestTheRealThing(t *testing.T) {
	moved := make(chan time.Duration, 1)
	jumped := make(chan time.Duration, 1)
	c := nettime.Start(nettime.Config{FromServers: true, Servers: []string{
		ntpServer(t, telling(time.Hour)), ntpServer(t, telling(time.Hour)), ntpServer(t, telling(0)),
	}}, nettime.Wiring{
		Private: true,
		Adjust:  func(offset, _ time.Duration) { moved <- offset },
		Jumped:  func(by time.Duration) { jumped <- by },
	})
	defer c.Close()
	<-c.Settled()
	if by := <-moved; (by-time.Hour).Abs() > time.Second || by != <-jumped {
		t.Errorf("moved by %v", by)
	}
}

func TestTheClocksOfThisMachineRun(t *testing.T) {
	wall, awake, boot := nettime.ReadClocks()
	if time.Since(wall).Abs() > time.Minute || awake < 0 || boot == 0 {
		t.Errorf("%v %v %v", wall, awake, boot)
	}
	if b := nettime.BuiltAt(); b.Year() < 2026 || time.Until(b) > 24*time.Hour {
		t.Errorf("built at %v", b)
	}
}
