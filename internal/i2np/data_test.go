package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/i2np"
	"allium/internal/wire"
)

func TestDataStandsAsSpecified(t *testing.T) {
	want := unhex(t, "00000005 68656c6c6f")
	if got := (i2np.Data{Payload: []byte("hello")}).Append(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	d, err := i2np.ParseData(append(want, "ignored"...))
	if err != nil || string(d.Payload) != "hello" {
		t.Errorf("%q, %v", d.Payload, err)
	}
	if _, err := i2np.ParseData(want[:8]); !errors.Is(err, wire.ErrShort) {
		t.Errorf("cut short: %v", err)
	}
}

func FuzzParseData(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05hello"))
	f.Add([]byte("\x00\x00\x00\x06hello"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := i2np.ParseData(b)
		if err == nil && !bytes.HasPrefix(b, d.Append(nil)) {
			t.Errorf("% x became % x", b, d.Append(nil))
		}
	})
}
