//go:build unix

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/profile"
	"allium/internal/store"
)

// check looks at what the dead left: nothing is damaged, the identities are the
// same, and no router or profile is gone.
func (v *victim) check() {
	v.t.Helper()
	s, err := store.Open(filepath.Join(v.dir, "allium.db"))
	if err != nil {
		v.t.Error(err)
		return
	}
	defer s.Close()
	v.keys = v.same("keys", v.keys, v.bucket(s, "keys"))
	v.destination = v.same("destination", v.destination, v.file("site.dat"))
	if info := v.file("router.info"); info != nil {
		ri, err := data.ParseRouterInfo(info)
		if err != nil || v.router != "" && ri.Hash().String() != v.router {
			v.t.Errorf("router.info is of another: %v", err)
			return
		}
		if v.router == "" {
			v.n.meet(info)
			v.n.mu.Lock()
			v.n.victims = append(v.n.victims, info)
			v.n.mu.Unlock()
		}
		v.router = ri.Hash().String()
	}
	v.checkKnowledge(s)
}

// same tells that something that was there is still the same.
func (v *victim) same(what string, before, now []byte) []byte {
	v.t.Helper()
	if before != nil && !bytes.Equal(before, now) {
		v.t.Errorf("%s: %d bytes before, now %d others", what, len(before), len(now))
	}
	return now
}

// file is a file of the router, nil if there is none.
func (v *victim) file(name string) []byte {
	v.t.Helper()
	b, err := os.ReadFile(filepath.Join(v.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.t.Error(err)
	}
	return b
}

// bucket is everything in a bucket, nil if that is nothing.
func (v *victim) bucket(s store.Store, name string) (all []byte) {
	v.t.Helper()
	b, err := s.Bucket(name)
	if err == nil {
		err = b.Each(func(key, value []byte) error {
			all = append(append(all, key...), value...)
			return nil
		})
	}
	if err != nil {
		v.t.Error(err)
	}
	return all
}

// checkKnowledge opens netDb and profiles as a router does.
func (v *victim) checkKnowledge(s store.Store) {
	v.t.Helper()
	routers, err := s.Bucket("netdb")
	if err != nil {
		v.t.Error(err)
		return
	}
	known := &counted{Bucket: routers}
	db, err := netdb.New(netdb.Config{NetID: killNetwork, AllowPrivate: true}, data.Hash{}, known)
	if err != nil || db.Flush() != nil || known.writes > 0 || db.Len() < v.routers {
		v.t.Errorf("netDb: %v, %d routers, %d before, damaged records: %v", err, db.Len(), v.routers, known.writes > 0)
		return
	}
	v.routers = db.Len()
	peers, err := s.Bucket("profiles")
	if err != nil {
		v.t.Error(err)
		return
	}
	kept := &counted{Bucket: peers}
	profiles, err := profile.New(kept)
	if err != nil || profiles.Flush() != nil || kept.writes > 0 {
		v.t.Errorf("profiles: %v, damaged records: %v", err, kept.writes > 0)
		return
	}
	n := 0
	_ = peers.Each(func([]byte, []byte) error { n++; return nil })
	if n < v.profiles {
		v.t.Errorf("%d profiles, %d before", n, v.profiles)
	}
	v.profiles = n
}

// counted is a bucket that counts writes: whoever finds damaged records has
// them deleted.
type counted struct {
	store.Bucket
	writes int
}

func (c *counted) Write(changes []store.Change) error {
	c.writes++
	return c.Bucket.Write(changes)
}
