package destination_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"testing"
	"time"

	"allium/internal/destination"
)

// text compresses well, noise does not.
func text(n int) []byte { return bytes.Repeat([]byte("a text that says the same again; "), n/33+1)[:n] }

func noise(n int) []byte {
	b := make([]byte, n)
	for i, x := 0, uint32(1); i < n; i++ {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func TestPayloadIsTheBytesOfTheSpecification(t *testing.T) {
	m := destination.Message{Protocol: 6, FromPort: 0x1234, ToPort: 80, Payload: []byte("hi")}
	want := "1f8b0800" + "1234" + "0050" + "00" + "06" + "01" + "0200" + "fdff" + "6869" + "ac2a93d8" + "02000000"
	if crc := crc32.ChecksumIEEE([]byte("hi")); crc != 0xd8932aac {
		t.Fatalf("%x", crc)
	}
	if got := hex.EncodeToString(destination.NewCodec(true).Append(nil, m)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	m.Payload = text(200)
	if got := destination.NewCodec(true).Append(nil, m); got[8] != 2 || got[10]&1 == 0 && len(got) > 200 || len(got) >= 200 {
		t.Errorf("%d bytes, extra flags %d", len(got), got[8])
	}
}

// payloads are some of all kinds.
func payloads() map[string][]byte {
	return map[string][]byte{
		"nothing": {}, "short": text(66), "compressible": text(5000), "noise": noise(5000), "zeros": make([]byte, 30000),
		"largest": noise(destination.MaxPayload), "largest text": text(destination.MaxPayload),
	}
}

func TestPayloadIsReadByGzip(t *testing.T) {
	for _, compress := range []bool{false, true} {
		c := destination.NewCodec(compress)
		for name, p := range payloads() {
			b := c.Append([]byte("before"), destination.Message{Protocol: 17, FromPort: 0x0102, ToPort: 0xFFFE, Payload: p})[6:]
			if len(b) > 10+5+len(p)+8 {
				t.Errorf("%s: %d bytes for %d", name, len(b), len(p))
			}
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			z.Multistream(false)
			got, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(got, p) {
				t.Errorf("%s: %v", name, err)
			}
			// The ports are the time, least byte first.
			if z.ModTime.Unix() != 0xFEFF0201 || z.OS != 17 {
				t.Errorf("%s: time %x, system %d", name, z.ModTime.Unix(), z.OS)
			}
		}
	}
}

func TestPayloadOfGzipIsRead(t *testing.T) {
	for _, level := range []int{gzip.NoCompression, gzip.BestSpeed, gzip.DefaultCompression, gzip.BestCompression, gzip.HuffmanOnly} {
		for name, p := range payloads() {
			var b bytes.Buffer
			z, err := gzip.NewWriterLevel(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			z.ModTime, z.OS = time.Unix(0xFEFF0201, 0), 18
			if _, err := z.Write(p); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			m, err := destination.NewCodec(false).Parse(b.Bytes())
			if err != nil || !bytes.Equal(m.Payload, p) {
				t.Fatalf("%s, level %d: %v", name, level, err)
			}
			if m.FromPort != 0x0102 || m.ToPort != 0xFFFE || m.Protocol != 18 {
				t.Errorf("%s: %d %d %d", name, m.FromPort, m.ToPort, m.Protocol)
			}
		}
	}
}

// changed is b with one byte changed; a negative place counts from the end.
func changed(b []byte, at int, to byte) []byte {
	b = bytes.Clone(b)
	b[(at+len(b))%len(b)] ^= to
	return b
}

func TestMalformedPayloadsAreRefused(t *testing.T) {
	c := destination.NewCodec(true)
	stored := c.Append(nil, destination.Message{Payload: text(50)})
	deflated := c.Append(nil, destination.Message{Payload: text(5000)})
	cases := map[string][]byte{
		"empty":            {},
		"header only":      stored[:17],
		"no gzip":          changed(stored, 0, 1),
		"another method":   changed(stored, 2, 1),
		"flags":            changed(stored, 3, 8),
		"checksum":         changed(stored, -8, 1),
		"too short a size": changed(deflated, -4, 1),
		"too long a size":  changed(deflated, -3, 0x10),
		"changed content":  changed(stored, 20, 1),
		"bytes behind":     append(bytes.Clone(deflated[:len(deflated)-8]), append([]byte{0}, deflated[len(deflated)-8:]...)...),
		"cut":              append(bytes.Clone(deflated[:len(deflated)-12]), deflated[len(deflated)-8:]...),
	}
	for name, b := range cases {
		if _, err := c.Parse(b); !errors.Is(err, destination.ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bomb is a payload of so many zeros, whatever its trailer says.
func bomb(t testing.TB, zeros, says int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(make([]byte, zeros)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	p := b.Bytes()
	for i := range 4 {
		p[len(p)-4+i] = byte(says >> (8 * i))
	}
	return p
}

func TestInflatingIsBounded(t *testing.T) {
	c := destination.NewCodec(false)
	if m, err := c.Parse(bomb(t, destination.MaxInflated, destination.MaxInflated)); err != nil || len(m.Payload) != destination.MaxInflated {
		t.Error(err)
	}
	for _, says := range []int{10, destination.MaxInflated, destination.MaxInflated + 1, 50 << 20} {
		b := bomb(t, 50<<20, says)
		if n := allocated(10, func() {
			if _, err := c.Parse(b); !errors.Is(err, destination.ErrPayload) {
				t.Fatal(err)
			}
		}); n > 200<<10 {
			t.Errorf("%d bytes for a bomb that says %d", n, says)
		}
	}
}

// allocated is how many bytes one of n calls allocates.
func allocated(n int, f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / uint64(n)
}

func TestStoredPayloadsAreReadWithoutAllocation(t *testing.T) {
	c := destination.NewCodec(false)
	m := destination.Message{Payload: noise(1000)}
	b := c.Append(nil, m)
	if n := testing.AllocsPerRun(100, func() {
		b = c.Append(b[:0], m)
		if _, err := c.Parse(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzPayload(f *testing.F) {
	plain, compressing := destination.NewCodec(false), destination.NewCodec(true)
	for _, p := range [][]byte{nil, text(10), text(3000), noise(100)} {
		m := destination.Message{Protocol: 6, FromPort: 1, ToPort: 2, Payload: p}
		f.Add(plain.Append(nil, m))
		f.Add(compressing.Append(nil, m))
	}
	f.Add(bomb(f, 1<<20, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := plain.Parse(b)
		if err != nil {
			if !errors.Is(err, destination.ErrPayload) {
				t.Fatal(err)
			}
			return
		}
		if z, err := gzip.NewReader(bytes.NewReader(b)); err != nil {
			t.Fatal("gzip refuses it:", err)
		} else if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, m.Payload) {
			t.Fatal("gzip reads something else:", err)
		}
		if len(m.Payload) > destination.MaxPayload {
			return
		}
		again, err := plain.Parse(compressing.Append(nil, m))
		if err != nil || again.FromPort != m.FromPort || again.ToPort != m.ToPort || again.Protocol != m.Protocol || !bytes.Equal(again.Payload, m.Payload) {
			t.Fatalf("%+v became %+v: %v", m, again, err)
		}
	})
}
