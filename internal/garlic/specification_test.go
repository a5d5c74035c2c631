package garlic_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"allium/internal/elligator2"
	"allium/internal/garlic"
	"allium/internal/x25519"

	"golang.org/x/crypto/chacha20poly1305"
)

// plainBob is a second reading of the specification, on the standard library
// alone, and with the habit of i2pd to reuse his ephemeral key: all his
// replies differ in tag and hash only.
type plainBob struct {
	t      *testing.T
	static x25519.KeyPair

	ck, h     []byte
	aliceE    []byte
	alice     []byte
	replyTags *plainTags
	ephemeral x25519.KeyPair
	encoded   [32]byte

	from, to *plainTags
}

// plainTags is a tag set.
type plainTags struct{ next, tagCK, constant, keyCK []byte }

func kdf(salt, ikm []byte, info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, ikm, salt, info, n)
	if err != nil {
		panic(err)
	}
	return out
}

func newPlainTags(root, k []byte) *plainTags {
	b := kdf(root, k, "KDFDHRatchetStep", 64)
	c := kdf(b[32:], nil, "TagAndKeyGenKeys", 64)
	d := kdf(c[:32], nil, "STInitialization", 64)
	return &plainTags{b[:32], d[:32], d[32:], c[32:]}
}

func (p *plainTags) entry() (tag, key []byte) {
	b := kdf(p.tagCK, p.constant, "SessionTagKeyGen", 64)
	k := kdf(p.keyCK, nil, "SymmetricRatchet", 64)
	p.tagCK, p.keyCK = b[:32], k[:32]
	return b[32:40], k[32:]
}

func (p *plainTags) ratchet(secret []byte) *plainTags {
	return newPlainTags(p.next, kdf(secret, nil, "XDHRatchetTagSet", 32))
}

func mix(h, b []byte) []byte {
	sum := sha256.Sum256(slices.Concat(h, b))
	return sum[:]
}

func (p *plainBob) dh(private x25519.PrivateKey, public []byte) []byte {
	p.t.Helper()
	k, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		p.t.Fatal(err)
	}
	pub, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := k.ECDH(pub)
	if err != nil {
		p.t.Fatal(err)
	}
	return secret
}

func plainNonce(n int) []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 4), uint64(n))
}

func plainSeal(key []byte, n int, ad, b []byte) []byte {
	a, _ := chacha20poly1305.New(key)
	return a.Seal(nil, plainNonce(n), b, ad)
}

func (p *plainBob) open(key []byte, n int, ad, b []byte) []byte {
	p.t.Helper()
	a, _ := chacha20poly1305.New(key)
	out, err := a.Open(nil, plainNonce(n), b, ad)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// newSession reads Alice's New Session and gives its payload.
func (p *plainBob) newSession(b []byte) []byte {
	p.t.Helper()
	name := sha256.Sum256([]byte("Noise_IKelg2+hs2_25519_ChaChaPoly_SHA256"))
	p.ck = name[:]
	p.h = mix(mix(p.ck, nil), p.static.Public[:])
	key := elligator2.Decode((*[32]byte)(b))
	p.aliceE = key[:]
	p.h = mix(p.h, p.aliceE)
	m := kdf(p.ck, p.dh(p.static.Private, p.aliceE), "", 64)
	p.alice = p.open(m[32:], 0, p.h, b[32:80])
	p.h = mix(p.h, b[32:80])
	m = kdf(m[:32], p.dh(p.static.Private, p.alice), "", 64)
	plain := p.open(m[32:], 0, p.h, b[80:])
	p.ck, p.h = m[:32], mix(p.h, b[80:])
	p.replyTags = newPlainTags(p.ck, kdf(p.ck, nil, "SessionReplyTags", 32))
	p.ephemeral, p.encoded = elligator2.Generate()
	return plain
}

// reply makes another New Session Reply.
func (p *plainBob) reply(payload []byte) []byte {
	tag, _ := p.replyTags.entry()
	h := mix(mix(p.h, tag), p.ephemeral.Public[:])
	m := kdf(p.ck, p.dh(p.ephemeral.Private, p.aliceE), "", 64)
	m = kdf(m[:32], p.dh(p.ephemeral.Private, p.alice), "", 64)
	code := plainSeal(m[32:], 0, h, nil)
	h = mix(h, code)
	split := kdf(m[:32], nil, "", 64)
	if p.from == nil {
		p.from, p.to = newPlainTags(m[:32], split[:32]), newPlainTags(m[:32], split[32:])
	}
	key := kdf(split[32:], nil, "AttachPayloadKDF", 32)
	return slices.Concat(tag, p.encoded[:], code, plainSeal(key, 0, h, payload))
}

// existing opens message n of the tag set of Alice.
func (p *plainBob) existing(n int, b []byte) []byte {
	p.t.Helper()
	tag, key := p.from.entry()
	if !bytes.Equal(tag, b[:8]) {
		p.t.Fatalf("tag %x, want %x", b[:8], tag)
	}
	return p.open(key, n, tag, b[8:])
}

func (p *plainBob) say(n int, payload []byte) []byte {
	tag, key := p.to.entry()
	return append(tag, plainSeal(key, n, tag, payload)...)
}

func plainBlock(kind byte, b ...byte) []byte {
	return append([]byte{kind, byte(len(b) >> 8), byte(len(b))}, b...)
}

// plainClove is a local clove with a Data message of the given body.
func plainClove(body string) []byte {
	b := []byte{0, 20, 0, 0, 0, 7, 0x7f, 0, 0, 0}
	return plainBlock(11, append(b, body...)...)
}

// findBlock gives the data of the first block of a kind.
func findBlock(t *testing.T, payload []byte, kind byte) []byte {
	t.Helper()
	for len(payload) > 0 {
		n := int(binary.BigEndian.Uint16(payload[1:]))
		if payload[0] == kind {
			return payload[3 : 3+n]
		}
		payload = payload[3+n:]
	}
	t.Fatalf("no block %d", kind)
	return nil
}

// acquainted are Alice, and a plain Bob whose second reply came first.
func acquainted(t *testing.T) (alice *side, bob *plainBob) {
	alice = newSide(t, garlic.Config{})
	bob = &plainBob{t: t, static: x25519.Generate()}
	ns := alice.tell(start, &side{keys: bob.static}, garlic.NewSession, []garlic.Clove{numbered(1, 10)}, 0)
	plain := bob.newSession(ns)
	if plain[0] != 0 || binary.BigEndian.Uint32(plain[3:]) != uint32(start.Unix()) {
		t.Fatalf("payload begins with %x, want DateTime", plain[:7])
	}
	if !bytes.Equal(bob.alice, alice.keys.Public[:]) {
		t.Fatal("wrong static key")
	}
	first, second := bob.reply(plainClove("first")), bob.reply(plainClove("second"))
	alice.hearPlain(second, "second")
	alice.hearPlain(first, "first")
	return alice, bob
}

func (s *side) hearPlain(b []byte, body string) *garlic.Opened {
	s.t.Helper()
	var o garlic.Opened
	if err := s.Open(start, b, &o); err != nil {
		s.t.Fatal(err)
	}
	if len(o.Cloves) != 1 || string(o.Cloves[0].Message.Body) != body {
		s.t.Fatalf("opened %+v, want %q", o, body)
	}
	return &o
}

func TestRepliesWithTheSameEphemeralKeyOpen(t *testing.T) {
	alice, bob := acquainted(t)
	to := &side{keys: bob.static}
	for n := range 3 {
		plain := bob.existing(n, alice.tell(start, to, garlic.ExistingSession, []garlic.Clove{numbered(n, 10)}, 0))
		if len(findBlock(t, plain, 11)) != 33+9+10 {
			t.Error("clove damaged")
		}
		alice.hearPlain(bob.say(n, plainClove("existing")), "existing")
	}
	alice.hearPlain(bob.reply(plainClove("late")), "late")
}

func TestTagSetsBobAsksForFollowTheSpecification(t *testing.T) {
	alice, bob := acquainted(t)
	to := &side{keys: bob.static}
	sent := 0
	send := func() []byte {
		t.Helper()
		sent++
		return bob.existing(sent-1, alice.tell(start, to, garlic.ExistingSession, nil, 0))
	}
	send()

	// The next tag set takes new keys from both, then from Bob, then from
	// Alice.
	ours := x25519.Generate()
	var theirs []byte
	for n, question := range [][]byte{
		append([]byte{1 | 4, 0, 0}, ours.Public[:]...),
		append([]byte{1, 0, 1}, ours.Public[:]...),
		{4, 0, 1},
	} {
		ask := slices.Concat(plainClove("question"), plainBlock(7, question...))
		for repeated := range 3 { // as if the answers were lost
			if o := alice.hearPlain(bob.say(repeated, ask), "question"); !o.Due {
				t.Fatal("no answer due")
			}
			answer := findBlock(t, send(), 7)
			switch {
			case n == 1 && !bytes.Equal(answer, []byte{2, 0, 0}),
				n != 1 && (len(answer) != 35 || !bytes.Equal(answer[:3], []byte{3, 0, byte(n / 2)})),
				n != 1 && repeated > 0 && !bytes.Equal(answer[3:], theirs):
				t.Fatalf("answer %x to question %d", answer, n)
			case n != 1:
				theirs = answer[3:]
			}
		}
		bob.to = bob.to.ratchet(bob.dh(ours.Private, theirs))
	}
	alice.hearPlain(bob.say(0, plainClove("new tag set")), "new tag set")
	if plain := send(); bytes.Contains(plain, []byte{7, 0, 35}) {
		t.Error("answers after the tag set is in use")
	}
}

func TestTagSetsAliceAsksForFollowTheSpecification(t *testing.T) {
	alice, bob := acquainted(t)
	to := &side{keys: bob.static}
	sent, said := 0, 0
	send := func() []byte {
		t.Helper()
		sent++
		return bob.existing(sent-1, alice.tell(start, to, garlic.ExistingSession, nil, 0))
	}
	say := func(block []byte) {
		t.Helper()
		alice.hearPlain(bob.say(said, append(plainClove("answer"), plainBlock(7, block...)...)), "answer")
		said++
	}
	ours := x25519.Generate()
	first := append([]byte{1 | 2, 0, 0}, ours.Public[:]...)
	send()
	say(first) // to no question
	send()

	alice.RatchetAfter(2)
	question := findBlock(t, send(), 7)
	if len(question) != 35 || !bytes.Equal(question[:3], []byte{1 | 4, 0, 0}) {
		t.Fatalf("first question %x", question)
	}
	say(first)
	bob.from = bob.from.ratchet(bob.dh(ours.Private, question[3:]))
	sent = 0
	send()
	send()

	question = findBlock(t, send(), 7)
	if len(question) != 35 || !bytes.Equal(question[:3], []byte{1, 0, 1}) {
		t.Fatalf("second question %x", question)
	}
	say(first) // late, and no answer to this
	send()
	say([]byte{2, 0, 0})
	bob.from = bob.from.ratchet(bob.dh(ours.Private, question[3:]))
	sent = 0
	send()
	send()

	if question := findBlock(t, send(), 7); !bytes.Equal(question, []byte{4, 0, 1}) {
		t.Fatalf("third question %x", question)
	}
	theirs := question[3:]
	ours = x25519.Generate()
	say(append([]byte{1 | 2, 0, 1}, ours.Public[:]...))
	bob.from = bob.from.ratchet(bob.dh(ours.Private, theirs))
	sent = 0
	send()
}
