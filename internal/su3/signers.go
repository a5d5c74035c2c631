package su3

import (
	"encoding/base64"
	"time"

	"allium/internal/signature"
)

// Signer is someone trusted to sign one type of content: what a router keeps
// of a signer's certificate.
type Signer struct {
	ID            string // as files name it
	ContentType   ContentType
	SignatureType signature.Type
	Key           []byte // public key; of RSA4096 the modulus, 512 bytes, big endian
	NotBefore     time.Time
	NotAfter      time.Time
}

// certificate is a row of the table of certificates.
type certificate struct {
	id        string
	notBefore time.Time
	notAfter  time.Time
	modulus   string // base64
}

// ReseedSigners are the people behind the public reseed servers, sorted by ID.
// Each call makes a new slice, to which a caller may add signers of its own.
func ReseedSigners() []Signer {
	signers := make([]Signer, len(reseedCertificates))
	for i, c := range reseedCertificates {
		modulus, err := base64.StdEncoding.DecodeString(c.modulus)
		if err != nil {
			panic(err) // the table is part of the program, and tested
		}
		signers[i] = Signer{
			ID: c.id, ContentType: Reseed, SignatureType: signature.RSA4096,
			Key: modulus, NotBefore: c.notBefore, NotAfter: c.notAfter,
		}
	}
	return signers
}
