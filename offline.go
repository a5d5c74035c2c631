package allium

import (
	"fmt"
	"iter"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/store"
)

// Import puts RouterInfos into the directory of a router that is not running.
func Import(dir string, s Settings, files iter.Seq2[string, []byte]) (Imported, error) {
	st, db, err := openNetDB(dir, &s)
	if err != nil {
		return Imported{}, err
	}
	defer st.Close()
	done := db.Import(time.Now(), files)
	return done, db.Flush()
}

// Export gives what Router.Export does from the directory of a router that is
// not running.
func Export(dir string, s Settings, n int) (iter.Seq2[string, []byte], error) {
	st, db, err := openNetDB(dir, &s)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	return chosen(db, &s, time.Now(), n), nil
}

// openNetDB opens what such a router knows, without marking a new directory
// as one of the network. The store is the caller's to close.
func openNetDB(dir string, s *Settings) (store.Store, *netdb.DB, error) {
	st, err := openStore(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("allium: %w", err)
	}
	db, err := loadNetDB(st, s)
	if err != nil {
		_ = st.Close()
		return nil, nil, fmt.Errorf("allium: %w", err)
	}
	return st, db, nil
}

func loadNetDB(st store.Store, s *Settings) (*netdb.DB, error) {
	if err := belongs(st, s.Network, false); err != nil {
		return nil, err
	}
	bucket, err := st.Bucket("netdb")
	if err != nil {
		return nil, err
	}
	cfg := netdb.Config{NetID: s.Network, AllowPrivate: s.Private, MaxRouters: s.MaxRouters, MinVersion: s.MinVersion}
	return netdb.New(cfg, data.Hash{}, bucket)
}
