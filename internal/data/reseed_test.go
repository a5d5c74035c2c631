package data_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"allium/internal/data"
)

// realBundles is where the reseed files of the project's library are, if they
// are there.
const realBundles = "../../../shared/data/reseed/*.su3"

// bundle gives RouterInfos by the names of their files: those of the real
// network as two reseed servers handed them out, or of routers made up here.
func bundle(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob(realBundles)
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		unzip(tb, su3Content(b), all)
	}
	if len(files) == 0 {
		tb.Log("no real reseed files: using made up ones")
		unzip(tb, su3Content(madeUpBundle(tb)), all)
	}
	if len(all) == 0 {
		tb.Fatal("no RouterInfos")
	}
	return all
}

// su3Content finds the zip of an su3 file by the lengths in its header.
func su3Content(b []byte) []byte {
	start := 40 + int(b[13]) + int(b[15])
	return b[start : start+int(binary.BigEndian.Uint64(b[16:]))]
}

func unzip(tb testing.TB, content []byte, to map[string][]byte) {
	tb.Helper()
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range archive.File {
		r, err := file.Open()
		if err != nil {
			tb.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			tb.Fatal(err)
		}
		to[file.Name] = b
	}
}

// madeUpBundle is an su3 file, as far as it is read here, of a few routers.
func madeUpBundle(tb testing.TB) []byte {
	tb.Helper()
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	for range 10 {
		for _, ri := range []*data.RouterInfo{dialable(tb), firewalled(tb)} {
			w, err := archive.Create("routerInfo-" + ri.Hash().String() + ".dat")
			if err == nil {
				_, err = w.Write(ri.Bytes())
			}
			if err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := archive.Close(); err != nil {
		tb.Fatal(err)
	}
	header := make([]byte, 40+16+4)
	header[13], header[15] = 16, 4
	binary.BigEndian.PutUint64(header[16:], uint64(content.Len()))
	return append(header, content.Bytes()...)
}

func TestRealRouterInfosVerify(t *testing.T) {
	for name, b := range bundle(t) {
		ri, err := data.ParseRouterInfo(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := ri.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := "routerInfo-" + ri.Hash().String() + ".dat"; name != want {
			t.Errorf("%s has the hash of %s", name, want)
		}
		if !bytes.Equal(ri.Bytes(), b) {
			t.Errorf("%s: Bytes differ", name)
		}
	}
}

func TestRealRouterInfosEncodeToTheSameBytes(t *testing.T) {
	for name, b := range bundle(t) {
		ri, err := data.ParseRouterInfo(b)
		if err != nil {
			t.Fatal(name, err)
		}
		identity, err := data.ParseRouterIdentity(rebuildIdentity(&ri.Identity().KeysAndCert))
		if err != nil {
			t.Fatal(name, err)
		}
		var addresses []data.RouterAddress
		for _, a := range ri.Addresses() {
			addresses = append(addresses, data.RouterAddress{Cost: a.Cost, Style: a.Style, Options: rebuildMapping(t, a.Options)})
		}
		published := time.UnixMilli(ri.Published().UnixMilli())
		again, err := data.AppendRouterInfo(nil, identity, published, addresses, rebuildMapping(t, ri.Options()))
		if err != nil {
			t.Fatal(name, err)
		}
		if again = append(again, ri.Signature()...); !bytes.Equal(again, b) {
			t.Errorf("%s encodes to\n%x instead of\n%x", name, again, b)
		}
	}
}

// rebuildIdentity puts an identity together from its parts.
func rebuildIdentity(k *data.KeysAndCert) []byte {
	signing := k.SigningKey()
	inArea := min(len(signing), 128) // the rest is in the certificate
	b := bytes.Clone(k.CryptoKey())
	b = append(b, k.Bytes()[len(b):384-inArea]...)
	b = append(b, signing[:inArea]...)
	return k.Certificate().Append(b)
}

func rebuildMapping(tb testing.TB, m data.Mapping) data.Mapping {
	tb.Helper()
	var pairs []data.Pair
	for key, value := range m.All() {
		pairs = append(pairs, data.Pair{Key: key, Value: value})
	}
	m, err := data.NewMapping(pairs...)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestRealRouterInfosMakeSense(t *testing.T) {
	for name, b := range bundle(t) {
		ri, err := data.ParseRouterInfo(b)
		if err != nil {
			t.Fatal(name, err)
		}
		if id, ok := ri.NetID(); !ok || id != data.MainNet {
			t.Errorf("%s: network %d, %v", name, id, ok)
		}
		if version, ok := ri.Version(); !ok || version < 951 || version > 999 {
			t.Errorf("%s: version %d, %v", name, version, ok)
		}
		if ri.BandwidthClass() == 0 || ri.Capabilities().String() != ri.Caps() {
			t.Errorf("%s: capabilities %q read as %q", name, ri.Caps(), ri.Capabilities())
		}
		if _, ok := ri.Options().Get(data.OptionFamilyKey); ok && ri.VerifyFamily() != nil {
			t.Errorf("%s: %v", name, ri.VerifyFamily())
		}
		if _, ok := ri.Identity().X25519(); !ok {
			t.Errorf("%s: encryption type %d", name, ri.Identity().CryptoType())
		}
		for i, a := range ri.Addresses() {
			checkRealAddress(t, name, i, a)
		}
	}
}

func checkRealAddress(t *testing.T, name string, i int, a data.RouterAddress) {
	t.Helper()
	if a.Style != data.StyleNTCP2 && a.Style != data.StyleSSU2 {
		return // SSU, as it was
	}
	if _, ok := a.StaticKey(); !ok || !a.SpeaksV2() {
		t.Errorf("%s: address %d has no static key or version: %v", name, i, a.Options)
	}
	host, _ := a.Options.Get("host")
	overlay := strings.HasPrefix(host, "202:") || strings.HasPrefix(host, "203:") // Yggdrasil
	if v4, v6 := a.Families(); (v4 || v6) == overlay {
		t.Errorf("%s: address %d is of no family: %v", name, i, a.Options)
	}
	_, published := a.AddrPort()
	if _, ok := a.IV(); a.Style == data.StyleNTCP2 && ok != published {
		t.Errorf("%s: address %d: %v", name, i, a.Options)
	}
	if _, ok := a.IntroKey(); a.Style == data.StyleSSU2 && !ok {
		t.Errorf("%s: address %d has no intro key: %v", name, i, a.Options)
	}
	tags := strings.Count(a.Options.String(), "itag")
	if introducers := a.Introducers(); len(introducers) != tags {
		t.Errorf("%s: address %d has %d introducers instead of %d", name, i, len(introducers), tags)
	}
}
