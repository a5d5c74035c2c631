package data_test

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"allium/internal/data"
	"allium/internal/wire"
)

func mapping(tb testing.TB, pairs ...string) data.Mapping {
	tb.Helper()
	var list []data.Pair
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, data.Pair{Key: pairs[i], Value: pairs[i+1]})
	}
	m, err := data.NewMapping(list...)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func readMapping(b []byte) (data.Mapping, error) {
	r := wire.NewReader(b)
	m := data.ReadMapping(&r)
	return m, r.Done()
}

func TestMappingIsSortedByKey(t *testing.T) {
	m := mapping(t, "router.version", "0.9.67", "caps", "XR", "netId", "2")
	const want = "\x00\x2c\x04caps=\x02XR;\x05netId=\x012;\x0erouter.version=\x060.9.67;"
	if got := m.Append(nil); string(got) != want {
		t.Errorf("appended %q", got)
	}
	if m.Len() != len(want) || !m.Sorted() {
		t.Errorf("%d bytes, sorted: %v", m.Len(), m.Sorted())
	}
	if v, ok := m.Get("netId"); !ok || v != "2" {
		t.Errorf("netId %q, %v", v, ok)
	}
	if v, ok := m.Get("net"); ok || v != "" {
		t.Errorf("net %q, %v", v, ok)
	}
}

func TestKeysAreInTheOrderOfJavaStrings(t *testing.T) {
	keys := []string{"", "a", "ab", "b", "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\U00010000", "\U0010ffff", "\ue000", "\uffff", "a\U00010000", "a\uff00"}
	for _, a := range keys {
		for _, b := range keys {
			want := slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
			if got := cmp.Compare(data.CompareKeys(a, b), 0); got != want {
				t.Errorf("%q and %q: %d instead of %d", a, b, got, want)
			}
		}
	}
}

func TestMappingKeepsTheOrderItCameIn(t *testing.T) {
	const b = "\x00\x0c\x01b=\x011;\x01a=\x012;"
	m, err := readMapping([]byte(b))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Append(nil); string(got) != b || m.Sorted() {
		t.Errorf("%q, sorted: %v", got, m.Sorted())
	}
}

func TestMappingRejects(t *testing.T) {
	for name, c := range map[string]struct {
		b    string
		want error
	}{
		"duplicate keys":             {"\x00\x0c\x01a=\x011;\x01a=\x012;", data.ErrDuplicateKey},
		"duplicate keys apart":       {"\x00\x12\x01b=\x011;\x01a=\x012;\x01b=\x013;", data.ErrDuplicateKey},
		"a missing equals sign":      {"\x00\x06\x01a:\x011;", data.ErrMalformed},
		"a missing semicolon":        {"\x00\x06\x01a=\x011,", data.ErrMalformed},
		"a key beyond the end":       {"\x00\x06\x09a=\x011;", data.ErrMalformed},
		"a value beyond the end":     {"\x00\x06\x01a=\x091;", data.ErrMalformed},
		"a pair cut short":           {"\x00\x05\x01a=\x011;", data.ErrMalformed},
		"a length beyond the end":    {"\x00\x07\x01a=\x011;", wire.ErrShort},
		"bytes after the last pair":  {"\x00\x06\x01a=\x011;;", wire.ErrTrailing},
		"half a length":              {"\x00", wire.ErrShort},
		"a semicolon after the pair": {"\x00\x07\x01a=\x011;;", data.ErrMalformed},
	} {
		if _, err := readMapping([]byte(c.b)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewMappingRejects(t *testing.T) {
	long := strings.Repeat("x", 256)
	var many []data.Pair
	for i := range 130 {
		many = append(many, data.Pair{Key: strings.Repeat("k", i), Value: strings.Repeat("v", 255)}, data.Pair{Key: strings.Repeat("l", i+1), Value: long[:255]})
	}
	for name, c := range map[string]struct {
		pairs []data.Pair
		want  error
	}{
		"duplicates":     {[]data.Pair{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "a", Value: "3"}}, data.ErrDuplicateKey},
		"long keys":      {[]data.Pair{{Key: long}}, data.ErrTooLong},
		"long values":    {[]data.Pair{{Value: long}}, data.ErrTooLong},
		"too many bytes": {many, data.ErrTooLong},
		"broken letters": {[]data.Pair{{Key: "a\xff"}}, data.ErrMalformed},
	} {
		if _, err := data.NewMapping(c.pairs...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMappingHoldsStringsOfAllLengths(t *testing.T) {
	m := mapping(t, strings.Repeat("k", 255), strings.Repeat("v", 255), "", "")
	again, err := readMapping(m.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := again.Get(strings.Repeat("k", 255)); !ok || len(v) != 255 {
		t.Errorf("%d bytes, %v", len(v), ok)
	}
	if _, ok := again.Get(""); !ok {
		t.Error("the empty key is gone")
	}
}

func FuzzMapping(f *testing.F) {
	f.Add([]byte("\x00\x00"))
	f.Add([]byte("\x00\x0c\x01a=\x011;\x01b=\x012;"))
	f.Add([]byte("\x00\x0c\x01b=\x011;\x01a=\x012;"))
	f.Add([]byte("\x00\x0c\x01a=\x011;\x01a=\x012;"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.NewReader(b)
		m := data.ReadMapping(&r)
		if r.Err() != nil {
			return
		}
		if !bytes.Equal(m.Append(nil), b[:r.Offset()]) {
			t.Errorf("%x became %x", b, m.Append(nil))
		}
		n := 0
		for key, value := range m.All() {
			if v, ok := m.Get(key); !ok || v != value {
				t.Errorf("%q is %q, %v instead of %q", key, v, ok, value)
			}
			if n++; n > 50 { // Get takes long in long Mappings
				break
			}
		}
		m.Sorted()
	})
}

func BenchmarkMappingGet(b *testing.B) {
	m := mapping(b, "caps", "XR", "netId", "2", "router.version", "0.9.67")
	b.ReportAllocs()
	for b.Loop() {
		m.Get("netId")
	}
}
