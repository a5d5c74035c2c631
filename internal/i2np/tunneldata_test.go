package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/i2np"
)

// tunnelData is a body with the tunnel ID 0x0a0b0c0d and a payload that counts.
func tunnelData() []byte {
	body := []byte{10, 11, 12, 13}
	for i := range i2np.TunnelPayloadSize {
		body = append(body, byte(i))
	}
	return body
}

func TestTunnelDataIsRelayedInPlace(t *testing.T) {
	body := tunnelData()
	d, err := i2np.ParseTunnelData(body)
	if err != nil {
		t.Fatal(err)
	}
	if d.TunnelID() != 0x0a0b0c0d {
		t.Errorf("tunnel ID %x", d.TunnelID())
	}
	if p := d.Payload(); len(p) != 1024 || &p[0] != &body[4] || cap(p) != 1024 {
		t.Errorf("payload of %d bytes is not that of the body", len(p))
	}
	d.SetTunnelID(0x01020304)
	if want := append([]byte{1, 2, 3, 4}, tunnelData()[4:]...); !bytes.Equal(body, want) {
		t.Error("more or less than the tunnel ID has changed")
	}
}

func TestTunnelDataOfOtherSizesOrWithoutTunnelIsRefused(t *testing.T) {
	for name, body := range map[string][]byte{
		"empty":    nil,
		"short":    tunnelData()[:1027],
		"long":     append(tunnelData(), 0),
		"tunnel 0": append(make([]byte, 4), tunnelData()[4:]...),
	} {
		if _, err := i2np.ParseTunnelData(body); !errors.Is(err, i2np.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// relay does to a message what a participant does, but for the encryption.
func relay(received, out []byte) ([]byte, error) {
	m, err := i2np.ParseShort(received)
	if err != nil {
		return nil, err
	}
	d, err := i2np.ParseTunnelData(m.Body)
	if err != nil {
		return nil, err
	}
	d.SetTunnelID(d.TunnelID() + 1)
	m.ID++
	return m.AppendShort(out), nil
}

func TestRelayAllocatesNothing(t *testing.T) {
	received := i2np.Message{Type: i2np.TypeTunnelData, Body: tunnelData()}.AppendShort(nil)
	out := make([]byte, 0, 2048)
	allocatesNothing(t, func() {
		if _, err := relay(received, out); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkRelay(b *testing.B) {
	received := i2np.Message{Type: i2np.TypeTunnelData, Body: tunnelData()}.AppendShort(nil)
	out := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := relay(received, out); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParseTunnelData(f *testing.F) {
	f.Add(tunnelData())
	f.Add(make([]byte, i2np.TunnelDataSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := i2np.ParseTunnelData(b)
		if err == nil && (d.TunnelID() == 0 || len(d.Payload()) != i2np.TunnelPayloadSize) {
			t.Errorf("tunnel ID %d, payload of %d bytes", d.TunnelID(), len(d.Payload()))
		}
	})
}
