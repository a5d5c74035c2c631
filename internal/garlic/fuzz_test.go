package garlic

import (
	"bytes"
	"testing"
	"time"

	"allium/internal/i2np"
	"allium/internal/noise"
	"allium/internal/x25519"
)

var fuzzStart = time.Unix(1_790_000_000, 0)

func fuzzSeeds(f *testing.F) {
	clove := Clove{Delivery{Kind: ToTunnel, Tunnel: 5}, i2np.Message{Type: i2np.TypeData, Body: []byte("body")}}
	all := appendDateTime(nil, fuzzStart)
	all = appendCloves(all, []Clove{clove, clove})
	all = appendAcks(all, []messageID{{0, 0}, {1, 2}})
	all = appendAckRequest(all)
	all = appendNextKey(all, &nextKey{present: true, request: true, key: x25519.Generate().Public})
	all = appendNextKey(all, &nextKey{reverse: true})
	all = append(all, blockPadding, 0, 2, 0, 0)
	f.Add(all)
	f.Add(appendTermination(appendDateTime(nil, fuzzStart)))
	f.Add([]byte{blockClove, 0, 10, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{blockNextKey, 0, 3, 7, 0, 0})
	f.Add([]byte{blockClove, 0xff, 0xff, 0})
}

func FuzzPayload(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p payload
		if p.parse(b) != nil {
			return
		}
		again := appendCloves(nil, p.cloves)
		if len(again) != cloveBytes(p.cloves) || len(again) > len(b) {
			t.Fatalf("%d bytes of cloves from %d bytes", len(again), len(b))
		}
		var q payload
		if err := q.parse(again); err != nil || len(q.cloves) != len(p.cloves) {
			t.Fatalf("%d cloves, then %d: %v", len(p.cloves), len(q.cloves), err)
		}
	})
}

func FuzzOpenRouter(f *testing.F) {
	fuzzSeeds(f)
	keys := x25519.FromPrivate(x25519.PrivateKey{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		OpenRouter(fuzzStart, &keys, nil, bytes.Clone(b))
		if len(b) > MaxPayload {
			return
		}
		ephemeral := x25519.FromPrivate(x25519.PrivateKey{2})
		state, err := noise.SealN(noise.TunnelN(), &keys.Public, &ephemeral)
		if err != nil {
			t.Fatal(err)
		}
		sealed := state.EncryptAndHash(bytes.Clone(ephemeral.Public[:]), b)
		cloves, err := OpenRouter(fuzzStart, &keys, nil, sealed)
		if err == nil && !bytes.HasPrefix(b, []byte{blockDateTime, 0}) {
			t.Fatalf("%d cloves without DateTime", len(cloves))
		}
	})
}

func FuzzReplies(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReplies()
		key, tag := [32]byte{1}, [TagSize]byte{2}
		r.Expect(fuzzStart, key, tag, time.Minute)
		r.Open(fuzzStart, bytes.Clone(b))
		r.Open(fuzzStart, append(bytes.Clone(tag[:]), b...))
		if r.Len() != 1 {
			t.Fatal("noise took the key")
		}
		r.Open(fuzzStart, noise.Seal(bytes.Clone(tag[:]), &key, 0, tag[:], b))
		if r.Len() != 0 {
			t.Fatal("key is still there")
		}
	})
}

// forge makes the message that choose would choose, with any payload.
func (s *Sessions) forge(t *testing.T, remote x25519.PublicKey, plain []byte) []byte {
	session, in := s.peers[remote].choose(fuzzStart)
	switch {
	case session != nil:
		n := session.send.tags
		b := appendTag(nil, session.send.tag())
		key := session.send.key()
		return sealTagged(append(b, plain...), 0, &key, n)
	case in != nil:
		b, keys, err := appendReply(nil, in.state, in.tags.tag())
		if err != nil {
			t.Fatal(err)
		}
		key := keys.payloadKey()
		in.sessions = append(in.sessions, s.newSession(fuzzStart, in.peer, &keys, false))
		return noise.Seal(b, &key, 0, keys.h[:], plain)
	}
	b, err := s.Seal(nil, fuzzStart, remote, nil, 0) // for the opening it leaves
	if err != nil {
		t.Fatal(err)
	}
	if len(plain) == 0 {
		return b
	}
	b, state, err := appendNewSession(nil, &s.keys, &remote)
	if err != nil {
		t.Fatal(err)
	}
	return state.EncryptAndHash(b, plain)
}

// FuzzOpen lets a peer that has all keys send what it likes at each step, and
// then lets an outsider send it.
func FuzzOpen(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > MaxPayload {
			return
		}
		cfg := Config{NewSessionRate: 10}
		one, two := New(cfg, x25519.Generate()), New(cfg, x25519.Generate())
		var o Opened
		for range 2 { // with what is expected at each step in between
			for _, plain := range [][]byte{b, nil} {
				for range 2 {
					two.Open(fuzzStart, one.forge(t, two.keys.Public, plain), &o)
					one, two = two, one
				}
			}
		}
		for _, s := range []*Sessions{one, two} {
			s.Open(fuzzStart, bytes.Clone(b), &o)
			for tag := range s.tags.refs {
				if s.tags.refs[tag].n%8 != 0 {
					continue
				}
				if err := s.Open(fuzzStart, append(appendTag(nil, tag), b...), &o); err == nil {
					t.Fatal("opened what was not sealed")
				}
			}
			if len(s.tags.refs) > 2000 || len(s.peers) > 1 {
				t.Fatalf("%d tags, %d peers", len(s.tags.refs), len(s.peers))
			}
		}
	})
}
