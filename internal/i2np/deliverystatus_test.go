package i2np_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"allium/internal/i2np"
	"allium/internal/wire"
)

func TestDeliveryStatusStandsAsSpecified(t *testing.T) {
	want := unhex(t, "01020304 0000018f00112233")
	status := i2np.DeliveryStatus{ID: 0x01020304, Time: time.UnixMilli(0x018f00112233).UTC()}
	if got := status.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	got, err := i2np.ParseDeliveryStatus(append(want, "ignored"...))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, status)
	for n := range want {
		if _, err := i2np.ParseDeliveryStatus(want[:n]); !errors.Is(err, wire.ErrShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzParseDeliveryStatus(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x00\x00\x01\x8f\x00\x11\x22\x33"))
	f.Add([]byte("\x01\x02\x03\x04\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := i2np.ParseDeliveryStatus(b)
		if err != nil {
			return
		}
		again, err := i2np.ParseDeliveryStatus(s.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, s)
	})
}
