package garlic

// RatchetAfter makes s ask for the next tag set after n messages, as routers
// with other ideas do. i2pd waits for 8192.
func (s *Sessions) RatchetAfter(n int) { s.ratchetAfter = n }

// SetIDs are the numbers of the tag sets that messages to the only peer go
// out on and come in on. The two may belong to different sessions, when both
// sides began.
func (s *Sessions) SetIDs() (send, receive int) {
	sessions := s.partners.first.sessions
	for _, session := range sessions {
		receive = max(receive, session.receive.current.id)
	}
	return sessions[0].send.id, receive
}

// DeriveTags derives n tags, and nothing else.
func DeriveTags(n int) {
	c, _ := newChain(&[32]byte{1}, &[32]byte{2})
	for range n {
		c.tag()
	}
}
