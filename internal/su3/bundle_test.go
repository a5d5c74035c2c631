package su3_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"allium/internal/su3"
)

// entry is a RouterInfo of its own for each number.
func entry(i int, length int) su3.Entry {
	hash := [32]byte{byte(i), byte(i >> 8), 0xff, 0xff}
	return su3.Entry{Name: su3.EntryName(hash), Bytes: bytes.Repeat([]byte{byte(i)}, length)}
}

// zipped makes a zip with files of any name and length, and nothing checked.
func zipped(t testing.TB, method uint16, entries ...su3.Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := archive.CreateHeader(&zip.FileHeader{Name: e.Name, Method: method})
		if err == nil {
			_, err = w.Write(e.Bytes)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEntryNameIsI2PBase64(t *testing.T) {
	hash := [32]byte{0xfb, 0xff, 0xfe}
	if got, want := su3.EntryName(hash), "routerInfo--~~-"+strings.Repeat("A", 39)+"=.dat"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPackedBundleReadsBack(t *testing.T) {
	want := []su3.Entry{entry(2, 700), entry(1, 1), entry(3, su3.MaxEntry), entry(4, 0)}
	content, err := su3.Pack(want, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := su3.Bundle(content)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, e := range got {
		if e.Name != want[i].Name || !bytes.Equal(e.Bytes, want[i].Bytes) {
			t.Errorf("entry %d is %s, %d bytes", i, e.Name, len(e.Bytes))
		}
	}
	again, err := su3.Pack(want, now)
	if err != nil || !bytes.Equal(content, again) {
		t.Errorf("the second zip differs: %v", err)
	}
}

func TestBundlePassesOverOtherFiles(t *testing.T) {
	good := entry(1, 10)
	second := su3.Entry{Name: good.Name, Bytes: []byte("second")}
	files := []su3.Entry{good, second}
	for _, name := range []string{
		"", "README", "x/" + good.Name, "../" + good.Name, good.Name + "x", "routerInfo-.dat", "routerinfo" + good.Name[10:],
		strings.Replace(good.Name, "A", "/", 1), strings.Replace(good.Name, "A", "+", 1),
		strings.Replace(good.Name, "A=", "==", 1), strings.Replace(good.Name, "A=", "B=", 1), strings.Replace(good.Name, "AAAA", "\n\n\n\n", 1),
	} {
		files = append(files, su3.Entry{Name: name, Bytes: make([]byte, 2*su3.MaxEntry)})
	}
	got, err := su3.Bundle(zipped(t, zip.Deflate, files...))
	if err != nil || len(got) != 1 || !bytes.Equal(got[0].Bytes, good.Bytes) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestBundleKeepsToItsLimits(t *testing.T) {
	var many, long []su3.Entry
	for i := range su3.MaxEntries + 1 {
		many = append(many, entry(i, 0))
	}
	for i := range su3.MaxTotal/su3.MaxEntry + 1 {
		long = append(long, entry(i, su3.MaxEntry))
	}
	for name, content := range map[string][]byte{
		"zip":     zipped(t, zip.Store, su3.Entry{Name: "x", Bytes: make([]byte, su3.MaxBundle)}),
		"entries": zipped(t, zip.Deflate, many...),
		"entry":   zipped(t, zip.Deflate, entry(1, su3.MaxEntry+1)),
		"total":   zipped(t, zip.Deflate, long...),
		"packed":  hollow(t, 2*su3.MaxEntry),
	} {
		if _, err := su3.Bundle(content); !errors.Is(err, su3.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, entries := range map[string][]su3.Entry{"entries": many, "entry": {entry(1, su3.MaxEntry+1)}, "total": long} {
		if _, err := su3.Pack(entries, now); !errors.Is(err, su3.ErrLimit) {
			t.Errorf("pack %s: %v", name, err)
		}
	}
	if got, err := su3.Bundle(zipped(t, zip.Deflate, many[1:]...)); err != nil || len(got) != su3.MaxEntries {
		t.Errorf("%d entries, %v", len(got), err)
	}
	if _, err := su3.Bundle(zipped(t, zip.Deflate, long[1:]...)); err != nil {
		t.Error(err)
	}
}

// hollow is a zip whose one file takes more than length bytes to say that it
// is empty: deflate blocks without content.
func hollow(t *testing.T, length int) []byte {
	t.Helper()
	empty := []byte{0, 0, 0, 0xff, 0xff}
	return raw(t, append(bytes.Repeat(empty, length/len(empty)+1), 1, 0, 0, 0xff, 0xff), nil, 0)
}

// raw is a zip of one file with these packed bytes, which claims that they
// unpack to claimed bytes with the checksum of want.
func raw(t *testing.T, packed, want []byte, claimed uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	w, err := archive.CreateRaw(&zip.FileHeader{
		Name: entry(1, 0).Name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(want),
		CompressedSize64: uint64(len(packed)), UncompressedSize64: claimed,
	})
	if err == nil {
		_, err = w.Write(packed)
	}
	if err == nil {
		err = archive.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBundleRefusesDamage(t *testing.T) {
	stored := append([]byte{1, 3, 0, 0xfc, 0xff}, "abc"...)
	for name, content := range map[string][]byte{
		"not a zip":    []byte("PK\x03\x04 and nothing more"),
		"nothing":      nil,
		"checksum":     raw(t, stored, []byte("abd"), 3),
		"other length": raw(t, stored, []byte("abc"), 2),
		"cut short":    raw(t, stored[:6], []byte("abc"), 3),
		"method":       bytes.ReplaceAll(raw(t, stored, []byte("abc"), 3), []byte{8, 0, 0, 0}, []byte{9, 0, 0, 0}),
	} {
		if got, err := su3.Bundle(content); !errors.Is(err, su3.ErrBundle) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := su3.Bundle(raw(t, stored, []byte("abc"), 3)); err != nil {
		t.Errorf("undamaged: %v", err)
	}
	if _, err := su3.Pack([]su3.Entry{{Name: "README"}}, now); !errors.Is(err, su3.ErrBundle) {
		t.Errorf("pack: %v", err)
	}
}

func FuzzBundle(f *testing.F) {
	f.Add(zipped(f, zip.Deflate, entry(1, 100), entry(2, 3)))
	f.Add(zipped(f, zip.Store, entry(1, 100), su3.Entry{Name: "README"}))
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, err := su3.Bundle(content)
		if err != nil {
			if entries != nil || !errors.Is(err, su3.ErrBundle) && !errors.Is(err, su3.ErrLimit) {
				t.Fatalf("%v, %v", entries, err)
			}
			return
		}
		packed, err := su3.Pack(entries, now)
		if errors.Is(err, su3.ErrLimit) {
			return // the zip listed the same bytes many times
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := su3.Bundle(packed)
		if err != nil || len(again) != len(entries) {
			t.Fatalf("%d entries become %d, %v", len(entries), len(again), err)
		}
	})
}
