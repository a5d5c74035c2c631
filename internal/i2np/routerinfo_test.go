package i2np_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"runtime"
	"testing"

	"allium/internal/i2np"
)

// routerInfo is something like one: a part that repeats, text, and a part
// that does not compress.
func routerInfo() []byte {
	b := bytes.Repeat([]byte("0123456789abcdef0123456789abcdef"), 10)
	b = append(b, "caps=LR;netId=2;router.version=0.9.67;host=192.0.2.1;port=12345;v=2;"...)
	x := uint32(1)
	for range 400 {
		x = x*1664525 + 1013904223
		b = append(b, byte(x>>24))
	}
	return b
}

// gzipped compresses with the standard library as it comes.
func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func deflated(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := new(i2np.Deflater).DeflateRouterInfo(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestDeflatedRouterInfoBeginsLikeThatOfEveryRouter(t *testing.T) {
	z := deflated(t, routerInfo())
	if want := unhex(t, "1f8b08 00 00000000 02 ff"); !bytes.HasPrefix(z, want) {
		t.Errorf("header % x, not % x", z[:10], want)
	}
}

func TestRouterInfoSurvivesDeflateAndInflate(t *testing.T) {
	var deflater i2np.Deflater
	var inflater i2np.Inflater
	for _, size := range []int{0, 1, 700, i2np.MaxRouterInfo} {
		ri := bytes.Repeat(routerInfo(), 5)[:size]
		z, err := deflater.DeflateRouterInfo([]byte("z"), ri)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(z[1:], deflated(t, ri)) || z[0] != 'z' {
			t.Error("a Deflater used again gives other bytes")
		}
		back, err := inflater.InflateRouterInfo([]byte("b"), z[1:])
		if err != nil || !bytes.Equal(back[1:], ri) || back[0] != 'b' {
			t.Errorf("%d bytes became %d, %v", size, len(back)-1, err)
		}
	}
}

func TestLargestRouterInfoThatDoesNotCompressIsTaken(t *testing.T) {
	ri := make([]byte, i2np.MaxRouterInfo)
	x := uint64(1)
	for i := range ri {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		ri[i] = byte(x)
	}
	back, err := new(i2np.Inflater).InflateRouterInfo(nil, deflated(t, ri))
	if err != nil || !bytes.Equal(back, ri) {
		t.Errorf("%d bytes, %v", len(back), err)
	}
}

func TestTooLargeRouterInfoIsRefused(t *testing.T) {
	if _, err := new(i2np.Deflater).DeflateRouterInfo(nil, make([]byte, i2np.MaxRouterInfo+1)); !errors.Is(err, i2np.ErrRouterInfoSize) {
		t.Errorf("deflate: %v", err)
	}
	var inflater i2np.Inflater
	for name, z := range map[string][]byte{
		"one byte too many": gzipped(t, make([]byte, i2np.MaxRouterInfo+1)),
		"bomb":              gzipped(t, make([]byte, 3<<20)),
		"compressed size":   gzipped(t, make([]byte, 32<<20)),
	} {
		out, err := inflater.InflateRouterInfo(nil, z)
		if !errors.Is(err, i2np.ErrRouterInfoSize) || len(out) != 0 {
			t.Errorf("%s, %d bytes: %d bytes, %v", name, len(z), len(out), err)
		}
	}
}

func TestBombCostsNoMemory(t *testing.T) {
	bomb := gzipped(t, make([]byte, 3<<20))
	var inflater i2np.Inflater
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _ = inflater.InflateRouterInfo(nil, bomb)
	}
	runtime.ReadMemStats(&after)
	// The first use makes the tables.
	if n := after.TotalAlloc - before.TotalAlloc; n > 256<<10 {
		t.Errorf("100 bombs cost %d bytes", n)
	}
}

// A gzip member of many blocks with nothing in them makes work without end
// and no output that could be counted.
func TestMoreThanAnyRouterInfoCompressedIsNotLookedAt(t *testing.T) {
	member := unhex(t, "1f8b08000000000002ff")
	for range 1000 {
		member = append(member, 0, 0, 0, 0xff, 0xff)
	}
	member = append(member, 1, 0, 0, 0xff, 0xff)
	member = append(member, make([]byte, 8)...)
	_, err := new(i2np.Inflater).InflateRouterInfo(nil, member)
	if !errors.Is(err, i2np.ErrRouterInfoSize) {
		t.Error(err)
	}
}

func TestDamagedGzipIsRefused(t *testing.T) {
	good := gzipped(t, routerInfo())
	var inflater i2np.Inflater
	for n := range good {
		if _, err := inflater.InflateRouterInfo(nil, good[:n]); !errors.Is(err, i2np.ErrMalformed) {
			t.Fatalf("%d of %d bytes: %v", n, len(good), err)
		}
	}
	wrongSum := bytes.Clone(good)
	wrongSum[len(wrongSum)-8] ^= 1
	for name, z := range map[string][]byte{
		"checksum": wrongSum,
		"zlib":     unhex(t, "789c 0300 00000001"),
		"noise":    bytes.Repeat([]byte("noise"), 100),
	} {
		if _, err := inflater.InflateRouterInfo(nil, z); !errors.Is(err, i2np.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out, err := inflater.InflateRouterInfo(nil, good); err != nil || !bytes.Equal(out, routerInfo()) {
		t.Errorf("an Inflater does not work after failures: %v", err)
	}
}

func TestOnlyOneGzipMemberIsRead(t *testing.T) {
	z := append(gzipped(t, []byte("first")), gzipped(t, []byte("second"))...)
	if out, err := new(i2np.Inflater).InflateRouterInfo(nil, z); err != nil || string(out) != "first" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestKeptInflaterAndDeflaterAllocateNothing(t *testing.T) {
	var deflater i2np.Deflater
	var inflater i2np.Inflater
	ri := routerInfo()
	z, out := make([]byte, 0, 4096), make([]byte, 0, 4096)
	allocatesNothing(t, func() {
		z, err := deflater.DeflateRouterInfo(z, ri)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := inflater.InflateRouterInfo(out, z); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzInflateRouterInfo(f *testing.F) {
	f.Add(gzipped(f, routerInfo()))
	f.Add(gzipped(f, make([]byte, 100000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := new(i2np.Inflater).InflateRouterInfo(nil, b)
		if err != nil {
			return
		}
		if len(out) > i2np.MaxRouterInfo {
			t.Fatalf("%d bytes", len(out))
		}
		back, err := new(i2np.Inflater).InflateRouterInfo(nil, deflated(t, out))
		if err != nil || !bytes.Equal(back, out) {
			t.Errorf("%d bytes became %d, %v", len(out), len(back), err)
		}
	})
}

func BenchmarkInflateRouterInfo(b *testing.B) {
	var inflater i2np.Inflater
	z, out := deflated(b, routerInfo()), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := inflater.InflateRouterInfo(out, z); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeflateRouterInfo(b *testing.B) {
	var deflater i2np.Deflater
	ri, out := routerInfo(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := deflater.DeflateRouterInfo(out, ri); err != nil {
			b.Fatal(err)
		}
	}
}
