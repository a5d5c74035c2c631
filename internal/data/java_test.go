package data_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"allium/internal/data"
)

// javaPublished is the date of what the Java router made.
var javaPublished = time.Unix(1_800_000_000, 0).UTC()

// javaVectors gives the lines of a kind, each split into its fields after it.
func javaVectors(tb testing.TB, kind string, fields int) [][]string {
	tb.Helper()
	text, err := os.ReadFile("testdata/java.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[0] == kind {
			all = append(all, f[1:])
			if len(f) != 1+fields {
				tb.Fatalf("%s with %d fields", kind, len(f))
			}
		}
	}
	if len(all) == 0 {
		tb.Fatalf("no %s", kind)
	}
	return all
}

func decode(tb testing.TB, field string) []byte {
	tb.Helper()
	if field == "-" {
		return nil
	}
	b, err := data.DecodeBase64(field)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestPrivateKeysOfJavaRouters(t *testing.T) {
	for i, fields := range javaVectors(t, "privatekeys", 1) {
		k, err := data.ParsePrivateKeysBase64(fields[0])
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		if got := k.Base64(); got != fields[0] {
			t.Errorf("%d: written as\n%s instead of\n%s", i, got, fields[0])
		}
	}
}

func TestLeaseSet2OfJavaRouters(t *testing.T) {
	for i, fields := range javaVectors(t, "leaseset2", 1) {
		ls, err := data.ParseLeaseSet2(decode(t, fields[0]))
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		if err := ls.Verify(); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		checkJavaLeases(t, ls)
		if offline := ls.Offline() != nil; offline != (i%2 == 1) || ls.Unpublished() {
			t.Errorf("%d: offline: %v, unpublished: %v", i, offline, ls.Unpublished())
		}
	}
}

func checkJavaLeases(t *testing.T, ls *data.LeaseSet2) {
	t.Helper()
	if !ls.Published().Equal(javaPublished) || !ls.Expires().Equal(javaPublished.Add(7*time.Minute)) {
		t.Errorf("from %v to %v", ls.Published(), ls.Expires())
	}
	if value, _ := ls.Options().Get("_http._tcp"); value != "0 999999 80" || !ls.Options().Sorted() {
		t.Errorf("options %v", ls.Options())
	}
	if _, ok := ls.EncryptionKey(data.X25519); !ok {
		t.Errorf("keys %v", ls.EncryptionKeys())
	}
	for i, l := range ls.Leases() {
		gateway := bytes.Repeat([]byte{byte(i + 1)}, 32)
		if l.Gateway != data.Hash(gateway) || l.TunnelID != uint32(1000+i) || !l.Expires.Equal(javaPublished.Add(time.Duration(5+i)*time.Minute)) {
			t.Errorf("lease %d: %+v", i, l)
		}
	}
	if len(ls.Leases()) != 3 {
		t.Errorf("%d leases", len(ls.Leases()))
	}
}

func TestEncryptedLeaseSetsOfJavaRouters(t *testing.T) {
	for i, fields := range javaVectors(t, "encryptedleaseset", 6) {
		ls, err := data.ParseEncryptedLeaseSet(decode(t, fields[5]))
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		if err := ls.Verify(); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if ls.Key() != data.Hash(decode(t, fields[4])) {
			t.Errorf("%d: key %v", i, ls.Key())
		}
		d, err := data.ParseDestinationBase64(fields[3])
		if err != nil {
			t.Fatal(err)
		}
		blinding, err := d.Blinding(string(decode(t, fields[1])))
		if err != nil {
			t.Fatal(err)
		}
		if key, err := blinding.StoreKey(javaPublished); err != nil || key != ls.Key() {
			t.Errorf("%d: looked for at %v, %v", i, key, err)
		}
		client := [32]byte(decode(t, fields[2]))
		entry, err := ls.Decrypt(blinding, &client)
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		inner := entry.(*data.LeaseSet2)
		checkJavaLeases(t, inner)
		if !inner.Destination().Equal(&d.KeysAndCert) || !inner.BlindedWhenPublished() || !inner.Unpublished() {
			t.Errorf("%d: another leaseset inside", i)
		}
		client[3]++
		if _, err = ls.Decrypt(blinding, &client); errors.Is(err, data.ErrClientKey) != (fields[0] != "0") {
			t.Errorf("%d: another client: %v", i, err)
		}
	}
}

func TestB33OfJavaRouters(t *testing.T) {
	for _, fields := range javaVectors(t, "b33", 2) {
		d, err := data.ParseDestinationBase64(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		if a, err := d.B33(true, false); err != nil || a.String() != fields[1] {
			t.Errorf("%v instead of %s, %v", a, fields[1], err)
		}
	}
}
