package i2np_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"
	"time"

	"allium/internal/i2np"
	"allium/internal/wire"

	"github.com/google/go-cmp/cmp"
)

// unhex reads hexadecimal digits, with blanks between fields.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var compact []byte
	for _, c := range []byte(s) {
		if c != ' ' && c != '\n' && c != '\t' {
			compact = append(compact, c)
		}
	}
	b, err := hex.DecodeString(string(compact))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// allocatesNothing fails unless f does its work without allocating.
func allocatesNothing(t *testing.T, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// same fails unless what was parsed is what was expected.
func same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

var hello = i2np.Message{
	Type:       i2np.TypeDeliveryStatus,
	ID:         0x01020304,
	Expiration: time.UnixMilli(0x018f00112233).UTC(),
	Body:       []byte("hello"),
}

func TestStandardHeaderStandsAsSpecified(t *testing.T) {
	// SHA-256 of "hello" begins with 2c.
	want := unhex(t, "0a 01020304 0000018f00112233 0005 2c 68656c6c6f")
	got := hello.AppendStandard([]byte("before"))
	if !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Errorf("% x", got)
	}
	if hello.StandardLen() != len(want) {
		t.Errorf("StandardLen %d, not %d", hello.StandardLen(), len(want))
	}
	m, rest, err := i2np.ParseStandard(append(want, "rest"...))
	if err != nil || string(rest) != "rest" {
		t.Fatalf("rest %q, %v", rest, err)
	}
	same(t, m, hello)
}

func TestShortHeaderStandsAsSpecified(t *testing.T) {
	want := unhex(t, "0a 01020304 6553f101 68656c6c6f")
	m := hello
	m.Expiration = time.Unix(0x6553f101, 0).UTC()
	got := m.AppendShort([]byte("before"))
	if !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Errorf("% x", got)
	}
	if m.ShortLen() != len(want) {
		t.Errorf("ShortLen %d, not %d", m.ShortLen(), len(want))
	}
	parsed, err := i2np.ParseShort(want)
	if err != nil {
		t.Fatal(err)
	}
	same(t, parsed, m)
}

func TestShortExpirationIsRoundedAndBounded(t *testing.T) {
	for _, c := range []struct{ at, want time.Time }{
		{time.UnixMilli(1700000000499), time.Unix(1700000000, 0)},
		{time.UnixMilli(1700000000500), time.Unix(1700000001, 0)},
		{time.Time{}, time.Unix(0, 0)},
		{time.Unix(1<<40, 0), time.Unix(math.MaxUint32, 0)},
	} {
		m, err := i2np.ParseShort(i2np.Message{Expiration: c.at}.AppendShort(nil))
		if err != nil || !m.Expiration.Equal(c.want) {
			t.Errorf("%v became %v, not %v, %v", c.at, m.Expiration, c.want, err)
		}
	}
}

func TestStandardExpirationIsBounded(t *testing.T) {
	for _, c := range []struct{ at, want time.Time }{
		{time.Time{}, time.Unix(0, 0)},
		{time.UnixMilli(math.MaxInt64), time.UnixMilli(math.MaxInt64)},
	} {
		m, _, err := i2np.ParseStandard(i2np.Message{Expiration: c.at}.AppendStandard(nil))
		if err != nil || !m.Expiration.Equal(c.want) {
			t.Errorf("%v became %v, not %v, %v", c.at, m.Expiration, c.want, err)
		}
	}
	beyond := unhex(t, "0a 01020304 ffffffffffffffff 0000 e3")
	m, _, err := i2np.ParseStandard(beyond)
	if err != nil || !errors.Is(m.CheckExpiration(time.Unix(1700000000, 0)), i2np.ErrFarFuture) {
		t.Errorf("the last Date is %v, %v", m.Expiration, err)
	}
}

func TestStandardHeaderOfAnotherBodyIsRefused(t *testing.T) {
	b := hello.AppendStandard(nil)
	b[len(b)-1] ^= 1
	if _, _, err := i2np.ParseStandard(b); !errors.Is(err, i2np.ErrChecksum) {
		t.Errorf("changed body: %v", err)
	}
}

func TestMessagesCutShortAreRefused(t *testing.T) {
	b := hello.AppendStandard(nil)
	for n := range b {
		if _, _, err := i2np.ParseStandard(b[:n]); !errors.Is(err, wire.ErrShort) {
			t.Errorf("standard, %d bytes: %v", n, err)
		}
	}
	b = hello.AppendShort(nil)
	for n := range i2np.ShortHeaderSize {
		if _, err := i2np.ParseShort(b[:n]); !errors.Is(err, wire.ErrShort) {
			t.Errorf("short, %d bytes: %v", n, err)
		}
	}
}

func TestBodyOfMoreThanMaxBodyIsNotAppended(t *testing.T) {
	m := i2np.Message{Body: make([]byte, i2np.MaxBody)}
	if _, _, err := i2np.ParseStandard(m.AppendStandard(nil)); err != nil {
		t.Errorf("largest body: %v", err)
	}
	m.Body = make([]byte, i2np.MaxBody+1)
	if b := m.AppendStandard(nil); len(b) != 0 {
		t.Errorf("%d bytes appended", len(b))
	}
}

func TestExpirationIsTakenWithinTheSlackOfClocks(t *testing.T) {
	now := time.Unix(1700000000, 0)
	for _, c := range []struct {
		from    time.Duration
		want    error
		expired bool
	}{
		{-i2np.MaxLate - time.Millisecond, i2np.ErrExpired, true},
		{-i2np.MaxLate, nil, false},
		{0, nil, false},
		{i2np.MaxAhead, nil, false},
		{i2np.MaxAhead + time.Millisecond, i2np.ErrFarFuture, false},
	} {
		m := i2np.Message{Expiration: now.Add(c.from)}
		if err := m.CheckExpiration(now); err != c.want {
			t.Errorf("%v from now: %v, not %v", c.from, err, c.want)
		}
		if m.Expired(now) != c.expired {
			t.Errorf("%v from now: Expired is %v", c.from, !c.expired)
		}
	}
	if !(i2np.Message{}).Expired(now) {
		t.Error("a message without expiration has not expired")
	}
}

func TestHeadersAllocateNothing(t *testing.T) {
	body := make([]byte, 1028)
	m := i2np.Message{Type: i2np.TypeTunnelData, ID: 7, Expiration: time.Unix(1700000000, 0), Body: body}
	buffer := make([]byte, 0, 2048)
	now := m.Expiration
	allocatesNothing(t, func() {
		got, err := i2np.ParseShort(m.AppendShort(buffer))
		if err != nil || got.CheckExpiration(now) != nil {
			t.Fatal(err)
		}
	})
	allocatesNothing(t, func() {
		if _, _, err := i2np.ParseStandard(m.AppendStandard(buffer)); err != nil {
			t.Fatal(err)
		}
	})
	allocatesNothing(t, func() {
		if _, err := i2np.ParseShort(buffer[:5]); err == nil {
			t.Fatal("no error")
		}
	})
}

func TestTypesAreNamedAsInTheSpecification(t *testing.T) {
	for typ, want := range map[i2np.Type]string{
		i2np.TypeShortTunnelBuild: "ShortTunnelBuild",
		231:                       "type 231",
	} {
		if got := typ.String(); got != want {
			t.Errorf("%d is %q, not %q", typ, got, want)
		}
	}
}

func FuzzParseShort(f *testing.F) {
	f.Add(hello.AppendShort(nil))
	f.Add([]byte{18})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := i2np.ParseShort(b)
		if err == nil && !bytes.Equal(m.AppendShort(nil), b) {
			t.Errorf("% x became % x", b, m.AppendShort(nil))
		}
	})
}

func FuzzParseStandard(f *testing.F) {
	f.Add(hello.AppendStandard(nil))
	f.Add(append(hello.AppendStandard(nil), "rest"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := i2np.ParseStandard(b)
		if err != nil {
			return
		}
		if len(m.Body)+i2np.StandardHeaderSize+len(rest) != len(b) {
			t.Errorf("%d bytes of body and %d of rest in %d", len(m.Body), len(rest), len(b))
		}
		again, _, err := i2np.ParseStandard(m.AppendStandard(nil))
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, m)
	})
}

func BenchmarkShortHeader(b *testing.B) {
	m := hello
	m.Body = make([]byte, 1028)
	buffer := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i2np.ParseShort(m.AppendShort(buffer)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStandardHeader(b *testing.B) {
	m := hello
	m.Body = make([]byte, 1028)
	buffer := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := i2np.ParseStandard(m.AppendStandard(buffer)); err != nil {
			b.Fatal(err)
		}
	}
}
