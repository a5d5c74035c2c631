package tunnel_test

import (
	"errors"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/tunnel"
)

type receiver struct{ name string }

func (*receiver) TunnelData(*host.Round, data.Hash, i2np.TunnelData) {}
func (*receiver) TunnelGateway(*host.Round, data.Hash, []byte)       {}
func (*receiver) Class() bandwidth.Class                             { return bandwidth.Own }

func TestTableKeepsOneReceiverPerID(t *testing.T) {
	table := tunnel.NewTable(10)
	first := &receiver{"first"}
	if err := table.Add(7, first); err != nil {
		t.Fatal(err)
	}
	if err := table.Add(7, &receiver{"second"}); !errors.Is(err, tunnel.ErrTaken) {
		t.Errorf("second receiver of an ID: %v", err)
	}
	if err := table.Add(0, first); !errors.Is(err, tunnel.ErrTaken) {
		t.Errorf("ID zero: %v", err)
	}
	if r, ok := table.Lookup(7); !ok || r != first {
		t.Errorf("found %v, %v", r, ok)
	}
	table.Remove(7)
	if _, ok := table.Lookup(7); ok {
		t.Error("found after Remove")
	}
}

func TestReservedIDReceivesOnlyAfterEnter(t *testing.T) {
	table := tunnel.NewTable(10)
	id := table.NewID()
	if id == 0 {
		t.Fatal("ID zero")
	}
	if _, ok := table.Lookup(id); ok {
		t.Error("reserved ID has a receiver")
	}
	if err := table.Add(id, &receiver{"other"}); !errors.Is(err, tunnel.ErrTaken) {
		t.Errorf("reserved ID given to another: %v", err)
	}
	own := &receiver{"own"}
	table.Enter(id, own)
	if r, ok := table.Lookup(id); !ok || r != own {
		t.Errorf("found %v, %v", r, ok)
	}
}

func TestTableLimitsOthersButNotUs(t *testing.T) {
	table := tunnel.NewTable(2)
	for id := tunnel.ID(1); id <= 2; id++ {
		if err := table.Add(id, &receiver{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Add(3, &receiver{}); !errors.Is(err, tunnel.ErrTableFull) {
		t.Errorf("third of two: %v", err)
	}
	table.Enter(table.NewID(), &receiver{})
	if table.Len() != 3 {
		t.Errorf("%d IDs in use", table.Len())
	}
}

func TestReplayedTunnelMessageIsSeen(t *testing.T) {
	replays := tunnel.NewReplays(1000)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	message := randomMessage()
	if replays.Seen(now, message) {
		t.Error("first time")
	}
	if replays.Seen(now, randomMessage()) {
		t.Error("another message")
	}
	if !replays.Seen(now.Add(tunnel.Lifetime), message) {
		t.Error("not seen while the tunnel lives")
	}
	swapped := make([]byte, len(message))
	copy(swapped, message)
	copy(swapped[4:20], message[20:36])
	copy(swapped[20:36], message[4:20])
	if !replays.Seen(now.Add(tunnel.Lifetime), swapped) {
		t.Error("not seen with IV and first block swapped")
	}
	if replays.Seen(now.Add(3*tunnel.Lifetime), message) {
		t.Error("remembered long after the tunnel has gone")
	}
}

func BenchmarkReplays(b *testing.B) {
	replays := tunnel.NewReplays(1 << 20)
	now := time.Unix(1_700_000_000, 0)
	message := randomMessage()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		message[4], message[5], message[6] = byte(i), byte(i>>8), byte(i>>16)
		replays.Seen(now, message)
	}
}
