package tunnel_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"allium/internal/tunnel"
	"allium/internal/wire"
)

// The bytes are those the specification's diagrams give.
func TestInstructionsAreTheSpecifications(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	to := router(0)
	for i := range to {
		to[i] = 0xab
	}
	for _, test := range []struct {
		in  tunnel.Instructions
		hex string
	}{
		{tunnel.Instructions{Last: true, Size: 0x102}, "00" + "0102"},
		{tunnel.Instructions{MessageID: 0xdeadbeef, Size: 0x102}, "08" + "deadbeef" + "0102"},
		{tunnel.Instructions{
			Delivery: tunnel.Delivery{Kind: tunnel.ToTunnel, Tunnel: 0x01020304, Router: to},
			Last:     true, Size: 1,
		}, "20" + "01020304" + hash + "0001"},
		{tunnel.Instructions{
			Delivery: tunnel.Delivery{Kind: tunnel.ToTunnel, Tunnel: 0x01020304, Router: to},
			Size:     1, MessageID: 5,
		}, "28" + "01020304" + hash + "00000005" + "0001"},
		{tunnel.Instructions{
			Delivery: tunnel.Delivery{Kind: tunnel.ToRouter, Router: to},
			Last:     true, Size: 1,
		}, "40" + hash + "0001"},
		{tunnel.Instructions{Fragment: 1, MessageID: 5, Size: 996}, "82" + "00000005" + "03e4"},
		{tunnel.Instructions{Fragment: 63, Last: true, MessageID: 5, Size: 1}, "ff" + "00000005" + "0001"},
	} {
		want, err := hex.DecodeString(test.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := test.in.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%+v:\n got %x\nwant %x", test.in, got, want)
		}
	}
}

func instructions() *rapid.Generator[tunnel.Instructions] {
	return rapid.Custom(func(t *rapid.T) tunnel.Instructions {
		in := tunnel.Instructions{
			Fragment: rapid.Uint8Range(0, tunnel.MaxFragments-1).Draw(t, "fragment"),
			Last:     rapid.Bool().Draw(t, "last"),
			Size:     rapid.IntRange(0, 0xffff).Draw(t, "size"),
		}
		if in.Fragment > 0 || !in.Last {
			in.MessageID = rapid.Uint32().Draw(t, "message ID")
		}
		if in.Fragment == 0 {
			in.Delivery.Kind = tunnel.DeliveryKind(rapid.IntRange(0, 2).Draw(t, "kind"))
		}
		if in.Delivery.Kind != tunnel.Local {
			copy(in.Delivery.Router[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "router"))
		}
		if in.Delivery.Kind == tunnel.ToTunnel {
			in.Delivery.Tunnel = tunnel.ID(rapid.Uint32Range(1, 1<<32-1).Draw(t, "tunnel"))
		}
		return in
	})
}

func TestInstructionsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := instructions().Draw(t, "instructions")
		r := wire.NewReader(want.Append(nil))
		got, err := tunnel.ParseInstructions(&r)
		if err != nil || got != want || r.Len() != 0 {
			t.Fatalf("%+v, %v, %d bytes left; want %+v", got, err, r.Len(), want)
		}
	})
}

func TestInstructionsRejectNonsense(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                "",
		"cut":                  "0001",
		"follow-on fragment 0": "80000000050001",
		"delivery kind 3":      "600001",
		"delivery to tunnel 0": "2000000000" + strings.Repeat("ab", 32) + "0001",
	} {
		b, _ := hex.DecodeString(in)
		r := wire.NewReader(b)
		if _, err := tunnel.ParseInstructions(&r); !errors.Is(err, tunnel.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInstructionsSkipDelayAndExtendedOptions(t *testing.T) {
	b, _ := hex.DecodeString("1c" + "07" + "00000005" + "03aabbcc" + "0102" + "ee")
	r := wire.NewReader(b)
	in, err := tunnel.ParseInstructions(&r)
	if err != nil || in != (tunnel.Instructions{MessageID: 5, Size: 0x102}) || r.Len() != 1 {
		t.Errorf("%+v, %v, %d bytes left", in, err, r.Len())
	}
}

func FuzzInstructions(f *testing.F) {
	for _, in := range []tunnel.Instructions{
		{Last: true, Size: 3},
		{MessageID: 7, Size: 900, Delivery: tunnel.Delivery{Kind: tunnel.ToTunnel, Tunnel: 1, Router: router(1)}},
		{Fragment: 2, MessageID: 7, Size: 996},
	} {
		f.Add(in.Append(nil))
	}
	f.Add([]byte{0x1c, 7, 0, 0, 0, 5, 3, 1, 2, 3, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.NewReader(b)
		in, err := tunnel.ParseInstructions(&r)
		if err != nil {
			return
		}
		again := wire.NewReader(in.Append(nil))
		if back, err := tunnel.ParseInstructions(&again); err != nil || back != in {
			t.Errorf("%+v became %+v, %v", in, back, err)
		}
	})
}
