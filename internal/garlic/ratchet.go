package garlic

import (
	"time"

	"allium/internal/x25519"
)

// When a tag set is replaced, and when it is left for good.
const (
	// ratchetAfter is after how many messages we ask for the next tag set.
	ratchetAfter = 4096
	// exhausted is after how many messages without an answer a session is
	// not sent on any more.
	exhausted = maxTags - 512
	// maxSetID is the number of the last tag set of a session.
	maxSetID = 65535
	// previousLife is how long a tag set is listened on after the next took
	// over.
	previousLife = 180 * time.Second
)

// Tag set n+1 is made by both sides from the root key tag set n left and a
// Diffie-Hellman of two keys. One of the keys is new: for even tag sets the
// sender's, for odd ones the receiver's, and for tag set 1 both. Each side
// numbers its keys. (ECIES, Key and Tag Set IDs.)

// senderKey and receiverKey are the numbers of the keys that make tag set n.
func senderKey(n int) int   { return n / 2 }
func receiverKey(n int) int { return (n - 1) / 2 }

// sendRatchet is the sending direction of a session.
type sendRatchet struct {
	chain
	id   int
	next [32]byte // root key of the tag set after this

	// asking tells that we asked for the next tag set and wait for the
	// answer, and repeat the question in each message.
	asking bool
	ours   x25519.KeyPair
	theirs x25519.PublicKey
}

// ask begins the exchange for the next tag set.
func (s *sendRatchet) ask() {
	n := s.id + 1
	if s.asking || n > maxSetID {
		return
	}
	s.asking = true
	if n == 1 || n%2 == 0 {
		s.ours = x25519.Generate()
	}
}

// question is the block that asks.
func (s *sendRatchet) question() nextKey {
	n := s.id + 1
	k := nextKey{id: senderKey(n), request: n%2 == 1, present: n == 1 || n%2 == 0}
	if k.present {
		k.key = s.ours.Public
	}
	return k
}

// answered starts the next tag set if k is the answer to our question. Late
// answers to earlier questions differ from it in number or form.
func (s *sendRatchet) answered(k *nextKey) {
	n := s.id + 1
	if !s.asking || k.request || k.id != receiverKey(n) || k.present != (n%2 == 1) {
		return
	}
	theirs := s.theirs
	if k.present {
		theirs = k.key
	}
	secret, err := x25519.Shared(&s.ours.Private, &theirs)
	if err != nil {
		return
	}
	s.theirs, s.asking, s.id = theirs, false, n
	s.chain, s.next = nextChain(&s.next, &secret)
}

// receiveRatchet is the receiving direction of a session.
type receiveRatchet struct {
	current  *receiveSet
	previous *receiveSet // nil, or until it expires

	// answering tells that we answered a question and repeat the answer
	// until a message comes on the tag set it led to.
	answering bool
	ours      x25519.KeyPair
	theirs    x25519.PublicKey
}

// answer is the block that answers: it led to the current tag set.
func (s *receiveRatchet) answer() nextKey {
	n := s.current.id
	k := nextKey{id: receiverKey(n), reverse: true, present: n%2 == 1}
	if k.present {
		k.key = s.ours.Public
	}
	return k
}

// isQuestion reports whether k asks for tag set n.
func (k *nextKey) isQuestion(n int) bool {
	return k.id == senderKey(n) && k.request == (n%2 == 1) && k.present == (n == 1 || n%2 == 0)
}

// asked handles a question that came on set. It gives the tag set that the
// question led to, or nil. A repeated question leads to none.
func (s *receiveRatchet) asked(k *nextKey, set *receiveSet) *receiveSet {
	n := s.current.id + 1
	if set != s.current || n > maxSetID || !k.isQuestion(n) {
		return nil
	}
	theirs, ours := s.theirs, s.ours
	if k.present {
		theirs = k.key
	}
	if k.request {
		ours = x25519.Generate()
	}
	secret, err := x25519.Shared(&ours.Private, &theirs)
	if err != nil {
		return nil
	}
	s.ours, s.theirs, s.answering = ours, theirs, true
	next := &receiveSet{id: n, session: set.session, highest: -1, start: min(set.ahead(), startAhead)}
	next.chain, next.next = nextChain(&set.next, &secret)
	return next
}
