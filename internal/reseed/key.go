package reseed

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"allium/internal/random"
	"allium/internal/store"
	"allium/internal/su3"
)

// ErrKeyFile reports a file that holds no key to sign with, or somebody
// else's.
var ErrKeyFile = errors.New("reseed: not the signer's key")

const (
	keyBits = 4096
	// keyLife is for how long a new key's certificate is valid.
	keyLife = 10 * 365 * 24 * time.Hour
	// maxKeyFile is the longest file of a key, in bytes.
	maxKeyFile = 64 << 10
	pemKey     = "PRIVATE KEY"
)

// Key signs bundles. It is kept in one PEM file, for its owner's eyes only,
// together with the certificate that others need.
type Key struct {
	ID string
	// Certificate is for others, in PEM.
	Certificate []byte
	private     *rsa.PrivateKey
}

// LoadKey reads the key in a file, or makes one there for the signer id, which
// takes some seconds; an empty id becomes a random one. It fails with
// ErrKeyFile when the file holds something else, or the key of another signer.
func LoadKey(file, id string, now time.Time) (*Key, error) {
	text, err := store.ReadFile(file, maxKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newKey(file, id, now)
	case err != nil:
		return nil, err
	}
	k, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, file)
	}
	if id != "" && k.ID != id {
		return nil, fmt.Errorf("%w: %s is that of %s", ErrKeyFile, file, k.ID)
	}
	return k, nil
}

func newKey(file, id string, now time.Time) (*Key, error) {
	if id == "" {
		var b [10]byte
		random.Fill(b[:])
		id = strings.ToLower(base32.StdEncoding.EncodeToString(b[:])) + "@allium"
	}
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("reseed: key: %w", err)
	}
	// Clocks of others may be behind.
	certificate, err := su3.NewCertificate(id, private, now.Add(-24*time.Hour), now.Add(keyLife))
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("reseed: key: %w", err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), certificate...)
	if err := store.WriteFile(file, text); err != nil {
		return nil, err
	}
	return &Key{ID: id, Certificate: certificate, private: private}, nil
}

func parseKey(text []byte) (*Key, error) {
	block, certificate := pem.Decode(text)
	if block == nil || block.Type != pemKey {
		return nil, ErrKeyFile
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	signer, err := su3.ParseSigner(certificate)
	if err != nil || !ok || !bytes.Equal(private.N.Bytes(), signer.Key) {
		return nil, ErrKeyFile
	}
	return &Key{ID: signer.ID, Certificate: certificate, private: private}, nil
}

// Sign makes a bundle of files, an SU3 file.
func (k *Key) Sign(files []su3.Entry, now time.Time) ([]byte, error) {
	content, err := su3.Pack(files, now)
	if err != nil {
		return nil, err
	}
	return su3.Sign(su3.File{
		FileType: su3.Zip, ContentType: su3.Reseed, Version: strconv.FormatInt(now.Unix(), 10), SignerID: k.ID, Content: content,
	}, k.private)
}
