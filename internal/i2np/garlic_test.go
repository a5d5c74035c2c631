package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/i2np"
	"allium/internal/wire"
)

func TestGarlicStandsAsSpecified(t *testing.T) {
	want := unhex(t, "00000005 68656c6c6f")
	if got := (i2np.Garlic{Data: []byte("hello")}).Append(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	g, err := i2np.ParseGarlic(append(want, "ignored"...))
	if err != nil || string(g.Data) != "hello" {
		t.Errorf("%q, %v", g.Data, err)
	}
}

func TestGarlicCutShortIsRefused(t *testing.T) {
	for _, s := range []string{"", "000000", "00000005 68656c6c", "ffffffff 68", "80000000 68"} {
		if _, err := i2np.ParseGarlic(unhex(t, s)); !errors.Is(err, wire.ErrShort) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestGarlicAllocatesNothing(t *testing.T) {
	body, out := i2np.Garlic{Data: make([]byte, 900)}.Append(nil), make([]byte, 0, 2048)
	allocatesNothing(t, func() {
		g, err := i2np.ParseGarlic(body)
		if err != nil || len(g.Append(out)) != len(body) {
			t.Fatal(err)
		}
	})
}

func FuzzParseGarlic(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05hello"))
	f.Add([]byte("\xff\xff\xff\xffhello"))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := i2np.ParseGarlic(b)
		if err == nil && !bytes.HasPrefix(b, g.Append(nil)) {
			t.Errorf("% x became % x", b, g.Append(nil))
		}
	})
}
