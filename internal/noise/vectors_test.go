package noise_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"allium/internal/noise"
	"allium/internal/x25519"
)

// vector is one handshake of testdata/vectors.txt: its fields by name, and
// its messages in order. The two last are one of each direction after Split.
type vector map[string][]byte

func readVectors(t *testing.T) []vector {
	t.Helper()
	file, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for line := range strings.Lines(string(file)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		if name == "handshake" {
			all = append(all, vector{name: []byte(value)})
			continue
		}
		all[len(all)-1][name] = unhex(t, value)
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (v vector) pair(name string) x25519.KeyPair {
	var private x25519.PrivateKey
	copy(private[:], v[name])
	return x25519.FromPrivate(private)
}

func TestPatternsMatchPublicVectors(t *testing.T) {
	vectors := readVectors(t)
	if len(vectors) != 12 {
		t.Fatalf("%d vectors, want 12", len(vectors))
	}
	for _, v := range vectors {
		name := string(v["handshake"])
		initial := noise.Initial(name, v["prologue"])
		switch {
		case strings.HasPrefix(name, "Noise_XK_"):
			testXK(t, v, initial)
		case strings.HasPrefix(name, "Noise_IK_"):
			testIK(t, v, initial)
		case strings.HasPrefix(name, "Noise_N_"):
			testN(t, v, initial)
		default:
			t.Errorf("unknown pattern %s", name)
		}
	}
}

// check compares what was sent with the vector's message and returns it.
func (v vector) check(t *testing.T, message string, got []byte) []byte {
	t.Helper()
	if want := v[message+"_ciphertext"]; !bytes.Equal(got, want) {
		t.Fatalf("%s, prologue %q: %s is %x, want %x", v["handshake"], v["prologue"], message, got, want)
	}
	return got
}

// opened checks the payload the other side found in a message.
func (v vector) opened(t *testing.T, message string, got []byte, err error) {
	t.Helper()
	if want := v[message+"_payload"]; err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: payload of %s is %x, %v, want %x", v["handshake"], message, got, err, want)
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func ephemeralOf(message []byte) (*x25519.PublicKey, []byte) {
	return (*x25519.PublicKey)(message[:32]), message[32:]
}

func testXK(t *testing.T, v vector, initial noise.State) {
	bobStatic := v.pair("resp_static")
	alice := noise.NewXK(initial, true, v.pair("init_static"), &bobStatic.Public)
	bob := noise.NewXK(initial, false, bobStatic, nil)

	e := v.pair("gen_init_ephemeral")
	alice.SendE(e)
	must(t, alice.ES())
	m := v.check(t, "msg_0", alice.EncryptAndHash(e.Public[:], v["msg_0_payload"]))
	re, rest := ephemeralOf(m)
	bob.ReceiveE(re)
	must(t, bob.ES())
	payload, err := bob.DecryptAndHash(nil, rest)
	v.opened(t, "msg_0", payload, err)

	e = v.pair("gen_resp_ephemeral")
	bob.SendE(e)
	must(t, bob.EE())
	m = v.check(t, "msg_1", bob.EncryptAndHash(e.Public[:], v["msg_1_payload"]))
	re, rest = ephemeralOf(m)
	alice.ReceiveE(re)
	must(t, alice.EE())
	payload, err = alice.DecryptAndHash(nil, rest)
	v.opened(t, "msg_1", payload, err)

	m = alice.SendS(nil)
	must(t, alice.SE())
	m = v.check(t, "msg_2", alice.EncryptAndHash(m, v["msg_2_payload"]))
	must(t, bob.ReceiveS(m[:48]), bob.SE())
	payload, err = bob.DecryptAndHash(nil, m[48:])
	v.opened(t, "msg_2", payload, err)

	testTransport(t, v, "msg_3", "msg_4", alice.State, bob.State)
}

func testIK(t *testing.T, v vector, initial noise.State) {
	bobStatic := v.pair("resp_static")
	alice := noise.NewIK(initial, true, v.pair("init_static"), &bobStatic.Public)
	bob := noise.NewIK(initial, false, bobStatic, nil)

	e := v.pair("gen_init_ephemeral")
	alice.SendE(e)
	must(t, alice.ES())
	m := alice.SendS(e.Public[:])
	must(t, alice.SS())
	m = v.check(t, "msg_0", alice.EncryptAndHash(m, v["msg_0_payload"]))
	re, rest := ephemeralOf(m)
	bob.ReceiveE(re)
	must(t, bob.ES(), bob.ReceiveS(rest[:48]), bob.SS())
	payload, err := bob.DecryptAndHash(nil, rest[48:])
	v.opened(t, "msg_0", payload, err)

	e = v.pair("gen_resp_ephemeral")
	bob.SendE(e)
	must(t, bob.EE(), bob.SE())
	m = v.check(t, "msg_1", bob.EncryptAndHash(e.Public[:], v["msg_1_payload"]))
	re, rest = ephemeralOf(m)
	alice.ReceiveE(re)
	must(t, alice.EE(), alice.SE())
	payload, err = alice.DecryptAndHash(nil, rest)
	v.opened(t, "msg_1", payload, err)

	testTransport(t, v, "msg_2", "msg_3", alice.State, bob.State)
}

func testN(t *testing.T, v vector, initial noise.State) {
	static, e := v.pair("resp_static"), v.pair("gen_init_ephemeral")
	sender, err := noise.SealN(initial, &static.Public, &e)
	must(t, err)
	m := v.check(t, "msg_0", sender.EncryptAndHash(e.Public[:], v["msg_0_payload"]))
	re, rest := ephemeralOf(m)
	recipient, err := noise.OpenN(initial, &static, re)
	must(t, err)
	payload, err := recipient.DecryptAndHash(nil, rest)
	v.opened(t, "msg_0", payload, err)

	testTransport(t, v, "msg_1", "msg_2", sender, recipient)
}

func testTransport(t *testing.T, v vector, first, second string, alice, bob noise.State) {
	t.Helper()
	if alice != bob {
		t.Fatalf("%s: the two sides end in different states", v["handshake"])
	}
	toBob, toAlice := alice.Split()
	v.check(t, first, noise.Seal(nil, &toBob, 0, nil, v[first+"_payload"]))
	v.check(t, second, noise.Seal(nil, &toAlice, 0, nil, v[second+"_payload"]))
}
