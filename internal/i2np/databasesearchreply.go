package i2np

import (
	"fmt"

	"allium/internal/data"
	"allium/internal/wire"
)

// MaxPeers is how many routers a DatabaseSearchReply can name.
const MaxPeers = 255

// DatabaseSearchReply tells that an entry was not found, and where to look
// next: key 32, count 1, peers 32 each, from 32.
type DatabaseSearchReply struct {
	// Key is what was looked for.
	Key data.Hash
	// Peers are routers near the key, at most MaxPeers.
	Peers []data.Hash
	// From is who answers, or says so: nothing proves it.
	From data.Hash
}

// ParseDatabaseSearchReply reads a DatabaseSearchReply body. It fails with
// wire.ErrShort.
func ParseDatabaseSearchReply(body []byte) (DatabaseSearchReply, error) {
	var s DatabaseSearchReply
	r := wire.NewReader(body)
	r.Fill(s.Key[:])
	s.Peers = readHashes(&r, int(r.Uint8()))
	r.Fill(s.From[:])
	if r.Err() != nil {
		return DatabaseSearchReply{}, fmt.Errorf("i2np: DatabaseSearchReply: %w", r.Err())
	}
	return s, nil
}

// Append appends the body, with no more than the first MaxPeers of Peers.
func (s *DatabaseSearchReply) Append(b []byte) []byte {
	peers := s.Peers[:min(len(s.Peers), MaxPeers)]
	b = append(b, s.Key[:]...)
	b = append(b, byte(len(peers)))
	b = appendHashes(b, peers)
	return append(b, s.From[:]...)
}

// readHashes copies count hashes, once it is sure that they are there.
func readHashes(r *wire.Reader, count int) []data.Hash {
	b := r.Bytes(count * len(data.Hash{}))
	if len(b) == 0 {
		return nil
	}
	hashes := make([]data.Hash, count)
	for i := range hashes {
		b = b[copy(hashes[i][:], b):]
	}
	return hashes
}

func appendHashes(b []byte, hashes []data.Hash) []byte {
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}
