package reseedserver

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"sync"
	"time"

	"allium/internal/store"
)

const (
	// reloadEvery is how often certificates are read again: they are renewed
	// every few weeks.
	reloadEvery = time.Hour
	// selfLife is for how long a certificate of one's own is valid.
	selfLife = 5 * 365 * 24 * time.Hour
	// maxPEM is the longest file of certificates or keys, in bytes.
	maxPEM = 1 << 20
)

// Certificates gives the certificate in two files, which it reads again now
// and then. It fails when they cannot be read now; later it goes on with what
// it has.
func Certificates(certFile, keyFile string) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	load := func() (*tls.Certificate, error) {
		certificate, err := store.ReadFile(certFile, maxPEM)
		if err != nil {
			return nil, err
		}
		key, err := store.ReadFile(keyFile, maxPEM)
		if err != nil {
			return nil, err
		}
		c, err := tls.X509KeyPair(certificate, key)
		return &c, err
	}
	have, err := load()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	loaded := time.Now()
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(loaded) > reloadEvery {
			loaded = time.Now()
			if c, err := load(); err == nil {
				have = c
			}
		}
		return have, nil
	}, nil
}

// SelfSigned gives a certificate for a host that nobody vouches for. It is
// kept in a file with its key, and made there if there is none for the host or
// it has run out. public is the certificate in PEM, for clients to trust.
func SelfSigned(file, host string, now time.Time) (get func(*tls.ClientHelloInfo) (*tls.Certificate, error), public []byte, err error) {
	text, err := store.ReadFile(file, maxPEM)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	c, err := tls.X509KeyPair(text, text)
	if err != nil || c.Leaf.VerifyHostname(host) != nil || now.After(c.Leaf.NotAfter) {
		if text, err = signSelf(host, now); err != nil {
			return nil, nil, fmt.Errorf("reseedserver: certificate: %w", err)
		}
		if err := store.WriteFile(file, text); err != nil {
			return nil, nil, err
		}
		if c, err = tls.X509KeyPair(text, text); err != nil {
			return nil, nil, fmt.Errorf("reseedserver: certificate: %w", err)
		}
	}
	public = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw})
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c, nil }, public, nil
}

// signSelf makes key and certificate.
func signSelf(host string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: host},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(selfLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	if a, err := netip.ParseAddr(host); err == nil {
		t.IPAddresses = append(t.IPAddresses, a.AsSlice())
	} else {
		t.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, &t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, block := range []*pem.Block{{Type: "PRIVATE KEY", Bytes: private}, {Type: "CERTIFICATE", Bytes: der}} {
		if err := pem.Encode(&text, block); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
