package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/i2np"
)

// longBuild is a body whose record i is filled with the byte i+1.
func longBuild(count int) []byte {
	body := []byte{byte(count)}
	for i := range count {
		body = append(body, bytes.Repeat([]byte{byte(i + 1)}, i2np.LongRecordSize)...)
	}
	return body
}

func TestVariableTunnelBuildHasOneToEightWholeRecords(t *testing.T) {
	for count := 1; count <= i2np.MaxBuildRecords; count++ {
		v, err := i2np.ParseVariableTunnelBuild(longBuild(count))
		if err != nil || v.Count() != count {
			t.Fatalf("%d records, %v", v.Count(), err)
		}
		if r := v.Record(count - 1); r[0] != byte(count) || r[527] != byte(count) {
			t.Errorf("record %d is another", count-1)
		}
	}
	for name, body := range map[string][]byte{
		"empty":         nil,
		"none":          {0},
		"nine":          longBuild(9),
		"cut short":     longBuild(4)[:2112],
		"too long":      append(longBuild(4), 0),
		"short records": shortBuild(t, 4),
	} {
		if _, err := i2np.ParseVariableTunnelBuild(body); !errors.Is(err, i2np.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseVariableTunnelBuild(f *testing.F) {
	f.Add(longBuild(4))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := i2np.ParseVariableTunnelBuild(b)
		if err != nil {
			return
		}
		again := []byte{byte(v.Count())}
		for i := range v.Count() {
			again = append(again, v.Record(i)[:]...)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("% x became % x", b, again)
		}
	})
}
