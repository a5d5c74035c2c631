package daemon

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"allium/internal/reseed"
	"allium/internal/reseedserver"
	"allium/internal/store"
)

const (
	// What the reseed server puts into the router's directory for clients: the
	// certificate of its signer, and that for HTTPS if it is its own.
	signerCertFile = "reseed-signer.crt"
	tlsCertFile    = "reseed-tls.crt"
	// tlsFile keeps the latter with its key.
	tlsFile = "reseed-tls.pem"
)

// errNoDir reports a server of a router that keeps nothing.
var errNoDir = errors.New("reseed_server: it needs a directory for its key")

// startReseedServer opens the reseed server.
func (d *Daemon) startReseedServer(dir string) error {
	cfg := &d.cfg.ReseedServer
	if dir == "" {
		return errNoDir
	}
	d.log.Info("reseed server starts; a new key takes some seconds")
	key, err := reseed.LoadKey(filepath.Join(dir, cfg.KeyFile), cfg.Signer, time.Now())
	if err != nil {
		return fmt.Errorf("reseed_server.key_file: %w", err)
	}
	if err := store.WriteFile(filepath.Join(dir, signerCertFile), key.Certificate); err != nil {
		return fmt.Errorf("reseed_server: %w", err)
	}
	certificate, err := d.reseedCertificate(dir)
	if err != nil {
		return err
	}
	least := cfg.Routers
	if d.cfg.Router.Private {
		least = 1
	}
	s, err := reseedserver.Listen(reseedserver.Config{
		Listen: cfg.Listen, Certificate: certificate, NetID: d.cfg.Router.Network,
		Routers: cfg.Routers, Least: least, Renew: cfg.Renew, PerHour: cfg.PerHour,
	}, key, d.router.Export, d.log)
	if err != nil {
		return fmt.Errorf("reseed_server.listen: %w", err)
	}
	d.parts = append(d.parts, part{"reseed_server", s.Addr(), s})
	d.log.Info("reseed server listens", "addr", s.Addr(), "signer", key.ID, "certificate", filepath.Join(dir, signerCertFile))
	return nil
}

// reseedCertificate is that for HTTPS.
func (d *Daemon) reseedCertificate(dir string) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	cfg := &d.cfg.ReseedServer
	if cfg.TLSCert != "" {
		get, err := reseedserver.Certificates(cfg.TLSCert, cfg.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("reseed_server.tls_cert: %w", err)
		}
		return get, nil
	}
	get, public, err := reseedserver.SelfSigned(filepath.Join(dir, tlsFile), cfg.Host, time.Now())
	if err == nil {
		err = store.WriteFile(filepath.Join(dir, tlsCertFile), public)
	}
	if err != nil {
		return nil, fmt.Errorf("reseed_server.host: %w", err)
	}
	d.log.Info("reseed server vouches for itself; its clients need this certificate", "host", cfg.Host, "certificate", filepath.Join(dir, tlsCertFile))
	return get, nil
}
