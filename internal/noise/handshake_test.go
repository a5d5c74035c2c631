package noise_test

import (
	"bytes"
	"testing"

	"allium/internal/noise"
	"allium/internal/x25519"
)

// transports are the ways NTCP2 and SSU2 bend XK: what is hashed before a
// message's first token, and what after its last.
var transports = []struct {
	name            string
	initial         noise.State
	header, padding string
}{
	{"NTCP2", noise.NTCP2(), "", "clear padding"},
	{"NTCP2 without padding", noise.NTCP2(), "", ""},
	{"SSU2", noise.SSU2(), "unmasked header", ""},
}

func TestXKAgreesAcrossTransports(t *testing.T) {
	for _, transport := range transports {
		between := func(states ...*noise.State) {
			for _, s := range states {
				for _, clear := range []string{transport.padding, transport.header} {
					if clear != "" {
						s.MixHash([]byte(clear))
					}
				}
			}
		}
		aliceStatic, bobStatic := x25519.Generate(), x25519.Generate()
		alice := noise.NewXK(transport.initial, true, aliceStatic, &bobStatic.Public)
		bob := noise.NewXK(transport.initial, false, bobStatic, nil)

		between(&alice.State, &bob.State)
		e := x25519.Generate()
		alice.SendE(e)
		bob.ReceiveE(&e.Public)
		must(t, alice.ES(), bob.ES())
		pass(t, &alice.State, &bob.State, "request")

		between(&alice.State, &bob.State)
		e = x25519.Generate()
		bob.SendE(e)
		alice.ReceiveE(&e.Public)
		must(t, bob.EE(), alice.EE())
		pass(t, &bob.State, &alice.State, "created")

		between(&alice.State, &bob.State)
		if alice.N != 1 {
			t.Errorf("%s: the static key is sealed with counter %d, want 1", transport.name, alice.N)
		}
		must(t, bob.ReceiveS(alice.SendS(nil)), alice.SE(), bob.SE())
		if bob.RemoteStatic() != aliceStatic.Public {
			t.Errorf("%s: Bob saw %x, want %x", transport.name, bob.RemoteStatic(), aliceStatic.Public)
		}
		pass(t, &alice.State, &bob.State, "confirmed")
	}
}

// pass sends one payload and checks that both sides are then in one state.
func pass(t *testing.T, from, to *noise.State, payload string) {
	t.Helper()
	got, err := to.DecryptAndHash(nil, from.EncryptAndHash(nil, []byte(payload)))
	if err != nil || string(got) != payload {
		t.Fatalf("%s arrived as %q, %v", payload, got, err)
	}
	if *from != *to {
		t.Fatalf("after %s the states differ", payload)
	}
}

func newSession(t *testing.T) (alice, bob *noise.IK, aliceStatic x25519.KeyPair) {
	aliceStatic, bobStatic := x25519.Generate(), x25519.Generate()
	alice = noise.NewIK(noise.Ratchet(), true, aliceStatic, &bobStatic.Public)
	bob = noise.NewIK(noise.Ratchet(), false, bobStatic, nil)
	e := x25519.Generate()
	alice.SendE(e)
	bob.ReceiveE(&e.Public)
	must(t, alice.ES(), bob.ES())
	return alice, bob, aliceStatic
}

// reply runs a New Session Reply on copies of both sides.
func reply(t *testing.T, alice, bob noise.IK, tag string, e x25519.KeyPair) noise.State {
	t.Helper()
	bob.MixHash([]byte(tag))
	alice.MixHash([]byte(tag))
	bob.SendE(e)
	alice.ReceiveE(&e.Public)
	must(t, bob.EE(), alice.EE(), bob.SE(), alice.SE())
	pass(t, &bob.State, &alice.State, "")
	return alice.State
}

func TestIKRepliesStartFromSavedState(t *testing.T) {
	alice, bob, aliceStatic := newSession(t)
	must(t, bob.ReceiveS(alice.SendS(nil)))
	if !bob.Bound() || bob.RemoteStatic() != aliceStatic.Public {
		t.Fatalf("bound %v, static %x, want %x", bob.Bound(), bob.RemoteStatic(), aliceStatic.Public)
	}
	must(t, alice.SS(), bob.SS())
	if alice.N != 0 {
		t.Errorf("a bound payload has counter %d, want 0", alice.N)
	}
	pass(t, &alice.State, &bob.State, "new session")

	saved := alice.State
	e := x25519.Generate()
	first := reply(t, *alice, *bob, "tag one.", e)
	second := reply(t, *alice, *bob, "tag two.", x25519.Generate())
	again := reply(t, *alice, *bob, "tag one.", e)
	if alice.State != saved || bob.State != saved {
		t.Error("a reply changed the saved state")
	}
	if first.CK == second.CK || first != again {
		t.Error("replies depend on each other")
	}
	// The same ephemeral under another tag gives the same keys and another
	// hash, which is how some peers make their second reply.
	retagged := reply(t, *alice, *bob, "tag two.", e)
	if retagged.CK != first.CK || retagged.H == first.H {
		t.Error("the tag does more than change the hash")
	}
}

func TestIKUnboundPayloadUsesKeyOfES(t *testing.T) {
	alice, bob, _ := newSession(t)
	key := alice.K
	must(t, bob.ReceiveS(alice.SendUnbound(nil)))
	if bob.Bound() {
		t.Error("bound without a static key")
	}
	if alice.N != 1 || alice.K != key {
		t.Errorf("counter %d, want 1, under the key of es", alice.N)
	}
	pass(t, &alice.State, &bob.State, "one message, no reply")
}

// A tunnel hop derives its keys from CK and answers under H.
func TestNSharesChainingKeyAndHash(t *testing.T) {
	static, e := x25519.Generate(), x25519.Generate()
	creator, err := noise.SealN(noise.TunnelN(), &static.Public, &e)
	must(t, err)
	hop, err := noise.OpenN(noise.TunnelN(), &static, &e.Public)
	must(t, err)
	pass(t, &creator, &hop, "build request record")
}

func TestHandshakesFailWithWrongKeys(t *testing.T) {
	static, other := x25519.Generate(), x25519.Generate()
	alice := noise.NewXK(noise.NTCP2(), true, x25519.Generate(), &other.Public)
	bob := noise.NewXK(noise.NTCP2(), false, static, nil)
	e := x25519.Generate()
	alice.SendE(e)
	bob.ReceiveE(&e.Public)
	must(t, alice.ES(), bob.ES())
	if _, err := bob.DecryptAndHash(nil, alice.EncryptAndHash(nil, nil)); err != noise.ErrAuthentication {
		t.Errorf("message for another router: %v", err)
	}

	ik, bobIK, _ := newSession(t)
	sealed := ik.SendS(nil)
	for _, bad := range [][]byte{nil, sealed[:47], append(bytes.Clone(sealed), 0), bytes.Repeat([]byte{1}, 48)} {
		if err := bobIK.ReceiveS(bad); err != noise.ErrAuthentication {
			t.Errorf("static key %x: %v", bad, err)
		}
	}
}

func TestHandshakesRefuseLowOrderKeys(t *testing.T) {
	static := x25519.Generate()
	var zero x25519.PublicKey
	bob := noise.NewIK(noise.Ratchet(), false, static, nil)
	bob.ReceiveE(&zero)
	bob.SendE(x25519.Generate())
	for name, token := range map[string]func() error{"es": bob.ES, "ee": bob.EE, "se": bob.SE, "ss": bob.SS} {
		if err := token(); err != x25519.ErrLowOrder {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := noise.OpenN(noise.TunnelN(), &static, &zero); err != x25519.ErrLowOrder {
		t.Errorf("N, received: %v", err)
	}
	if _, err := noise.SealN(noise.TunnelN(), &zero, &static); err != x25519.ErrLowOrder {
		t.Errorf("N, sent: %v", err)
	}
}
