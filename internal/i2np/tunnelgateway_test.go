package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/i2np"
	"allium/internal/wire"
)

func gatewayBody() []byte {
	return i2np.TunnelGateway{TunnelID: 0x0a0b0c0d, Message: hello.AppendStandard(nil)}.Append(nil)
}

func TestTunnelGatewayCarriesAMessageWithStandardHeader(t *testing.T) {
	want := unhex(t, "0a0b0c0d 0015 0a 01020304 0000018f00112233 0005 2c 68656c6c6f")
	body := gatewayBody()
	if !bytes.Equal(body, want) {
		t.Errorf("% x", body)
	}
	g, err := i2np.ParseTunnelGateway(append(body, "ignored"...))
	if err != nil || g.TunnelID != 0x0a0b0c0d {
		t.Fatalf("tunnel ID %x, %v", g.TunnelID, err)
	}
	m, rest, err := i2np.ParseStandard(g.Message)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes of rest, %v", len(rest), err)
	}
	same(t, m, hello)
}

func TestTunnelGatewayWithoutMessageOrTunnelIsRefused(t *testing.T) {
	good := gatewayBody()
	for n := range good {
		if _, err := i2np.ParseTunnelGateway(good[:n]); !errors.Is(err, wire.ErrShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for name, body := range map[string][]byte{
		"tunnel 0":  append(make([]byte, 4), good[4:]...),
		"no header": i2np.TunnelGateway{TunnelID: 1, Message: make([]byte, 15)}.Append(nil),
	} {
		if _, err := i2np.ParseTunnelGateway(body); !errors.Is(err, i2np.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTunnelGatewayDoesNotAppendWhatItCannotTell(t *testing.T) {
	g := i2np.TunnelGateway{TunnelID: 1, Message: make([]byte, 65535)}
	if got, err := i2np.ParseTunnelGateway(g.Append(nil)); err != nil || len(got.Message) != 65535 {
		t.Errorf("largest message: %d bytes, %v", len(got.Message), err)
	}
	g.Message = make([]byte, 65536)
	if b := g.Append(nil); len(b) != 0 {
		t.Errorf("%d bytes appended", len(b))
	}
}

func TestTunnelGatewayAllocatesNothing(t *testing.T) {
	body, out := gatewayBody(), make([]byte, 0, 2048)
	allocatesNothing(t, func() {
		g, err := i2np.ParseTunnelGateway(body)
		if err != nil || len(g.Append(out)) == 0 {
			t.Fatal(err)
		}
		if _, err := i2np.ParseTunnelGateway(body[:10]); err == nil {
			t.Fatal("no error")
		}
	})
}

func BenchmarkTunnelGateway(b *testing.B) {
	m := hello
	m.Body = make([]byte, 900)
	body := i2np.TunnelGateway{TunnelID: 1, Message: m.AppendStandard(nil)}.Append(nil)
	out := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		g, err := i2np.ParseTunnelGateway(body)
		if err != nil || len(g.Append(out)) == 0 {
			b.Fatal(err)
		}
	}
}

func FuzzParseTunnelGateway(f *testing.F) {
	f.Add(gatewayBody())
	f.Add([]byte{0, 0, 0, 1, 0, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := i2np.ParseTunnelGateway(b)
		if err == nil && !bytes.HasPrefix(b, g.Append(nil)) {
			t.Errorf("% x became % x", b, g.Append(nil))
		}
	})
}
