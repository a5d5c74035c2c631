package su3

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"allium/internal/signature"
)

// ErrCertificate reports text that is no certificate of a signer.
var ErrCertificate = errors.New("su3: not the certificate of a signer")

// pemCertificate is what certificates are called in PEM.
const pemCertificate = "CERTIFICATE"

// ParseSigner reads the certificate of somebody who signs reseed bundles, as
// routers exchange them: X.509 in PEM with an RSA key of 4096 bits, the
// signer's id as common name. It is self-signed, so there is nothing in it to
// verify: who brings it along vouches for it.
func ParseSigner(text []byte) (Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemCertificate {
		return Signer{}, fmt.Errorf("%w: no PEM", ErrCertificate)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Signer{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	public, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok || public.N.BitLen() != keyBits || public.E != exponent {
		return Signer{}, fmt.Errorf("%w: %w", ErrCertificate, ErrKey)
	}
	id := c.Subject.CommonName
	if id == "" || len(id) > maxShortLen {
		return Signer{}, fmt.Errorf("%w: it names nobody", ErrCertificate)
	}
	return Signer{
		ID: id, ContentType: Reseed, SignatureType: signature.RSA4096,
		Key: public.N.Bytes(), NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}, nil
}

// NewCertificate makes the certificate of a signer for others, in PEM. The id
// is like a mail address, has 1 to 40 letters, and is what files are signed
// with; key is as for Sign.
func NewCertificate(id string, key crypto.Signer, from, until time.Time) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok || public.N.BitLen() != keyBits || public.E != exponent {
		return nil, ErrKey
	}
	// i2pd reads the first hundred letters of the name as a whole.
	const longest = 40
	if id == "" || len(id) > longest {
		return nil, fmt.Errorf("%w: an id of %d letters", ErrCertificate, len(id))
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("su3: certificate: %w", err)
	}
	// What signers' certificates of the public network have for a subject.
	name := pkix.Name{
		CommonName: id, Organization: []string{"I2P Anonymous Network"}, OrganizationalUnit: []string{"I2P"},
		Country: []string{"XX"}, Locality: []string{"XX"}, StreetAddress: []string{"XX"},
	}
	c := x509.Certificate{
		SerialNumber: serial, Subject: name, NotBefore: from, NotAfter: until,
		SignatureAlgorithm: x509.SHA512WithRSA, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, public, key)
	if err != nil {
		return nil, fmt.Errorf("su3: certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der}), nil
}
