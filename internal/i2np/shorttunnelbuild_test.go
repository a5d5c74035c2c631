package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/i2np"
)

// shortBuild is a body whose record i is filled with the byte i+1.
func shortBuild(t testing.TB, count int) i2np.ShortTunnelBuild {
	t.Helper()
	s, err := i2np.NewShortTunnelBuild(count)
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		copy(s.Record(i)[:], bytes.Repeat([]byte{byte(i + 1)}, i2np.ShortRecordSize))
	}
	return s
}

func TestShortTunnelBuildStandsAsSpecified(t *testing.T) {
	for count := 1; count <= i2np.MaxBuildRecords; count++ {
		want := []byte{byte(count)}
		for i := range count {
			want = append(want, bytes.Repeat([]byte{byte(i + 1)}, 218)...)
		}
		if !bytes.Equal(shortBuild(t, count), want) {
			t.Errorf("%d records stand otherwise", count)
		}
		s, err := i2np.ParseShortTunnelBuild(want)
		if err != nil || s.Count() != count {
			t.Fatalf("%d records, %v", s.Count(), err)
		}
		last := s.Record(count - 1)
		last[217] = 99
		if want[len(want)-1] != 99 {
			t.Error("a record is not in place")
		}
	}
}

func TestShortTunnelBuildNeedsOneToEightWholeRecords(t *testing.T) {
	four := shortBuild(t, 4)
	for name, body := range map[string][]byte{
		"empty":        nil,
		"none":         {0},
		"nine":         append([]byte{9}, make([]byte, 9*218)...),
		"cut short":    four[:len(four)-1],
		"one too many": append([]byte{3}, four[1:]...),
		"long records": append([]byte{4}, make([]byte, 4*528)...),
	} {
		if _, err := i2np.ParseShortTunnelBuild(body); !errors.Is(err, i2np.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, count := range []int{-1, 0, 9} {
		if _, err := i2np.NewShortTunnelBuild(count); !errors.Is(err, i2np.ErrMalformed) {
			t.Errorf("%d records: %v", count, err)
		}
	}
}

func TestShortTunnelBuildIsReadWithoutAllocating(t *testing.T) {
	body := []byte(shortBuild(t, 8))
	allocatesNothing(t, func() {
		s, err := i2np.ParseShortTunnelBuild(body)
		if err != nil || s.Record(7)[0] != 8 {
			t.Fatal(err)
		}
	})
}

func FuzzParseShortTunnelBuild(f *testing.F) {
	f.Add([]byte(shortBuild(f, 4)))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := i2np.ParseShortTunnelBuild(b)
		if err != nil {
			return
		}
		again := []byte{byte(s.Count())}
		for i := range s.Count() {
			again = append(again, s.Record(i)[:]...)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("% x became % x", b, again)
		}
	})
}
