package reseedserver

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	"allium/internal/random"
	"allium/internal/su3"
)

const (
	// maxBundles is how many bundles there are at most. Each takes some 80 KB
	// of memory and a hundredth of a second to sign.
	maxBundles = 40
	// shared is for how many bundles each router of the chosen half is meant
	// to be in.
	shared = 4
)

// renew makes the bundles from what is known now. With too few routers it
// leaves those there are.
func (s *Server) renew() {
	files := s.choose()
	if len(files) < s.cfg.Least {
		return
	}
	size := min(s.cfg.Routers, len(files))
	number := max(1, min(maxBundles, shared*len(files)/size))
	if size == len(files) {
		number = 1
	}
	now := time.Now()
	var bundles [][]byte
	for range number {
		random.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		b, err := s.key.Sign(files[:size], now)
		if err != nil {
			s.log.Error("reseed bundles not made", "err", err)
			return
		}
		bundles = append(bundles, b)
	}
	s.mu.Lock()
	s.bundles = bundles
	random.Fill(s.secret[:])
	s.status.Bundles, s.status.Routers, s.status.Made = number, size, now
	st := s.status
	s.mu.Unlock()
	s.log.Info("reseed bundles made", "bundles", number, "routers", size, "served", st.Served)
}

// choose gives a random half of the routers worth passing on, or as many as
// fill a bundle if that is more.
func (s *Server) choose() []su3.Entry {
	var files []su3.Entry
	for name, b := range s.routers(math.MaxInt) {
		files = append(files, su3.Entry{Name: name, Bytes: b})
	}
	half := max(len(files)/2, min(len(files), s.cfg.Routers))
	return files[:half]
}

// bundle is the one for a network of clients, nil if there are none, or tells
// that it has had enough of them.
func (s *Server) bundle(client netip.Prefix, now time.Time) (b []byte, limited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bundles) == 0 {
		return nil, false
	}
	if !s.total.AllowN(now, 1) || !s.clients.allow(client, now, s.cfg.PerHour) {
		return nil, true
	}
	name, _ := client.MarshalBinary() // which does not fail
	sum := sha256.Sum256(append(s.secret[:], name...))
	return s.bundles[binary.BigEndian.Uint64(sum[:])%uint64(len(s.bundles))], false
}
