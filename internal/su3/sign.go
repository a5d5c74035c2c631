package su3

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"allium/internal/signature"
)

// keyBits and exponent are what the signature type RSA4096 asks of a key.
const (
	keyBits  = 4096
	exponent = 65537
)

// Sign writes an su3 file with the FileType, ContentType, Version, SignerID
// and Content of f, signed with key, an *rsa.PrivateKey of 4096 bits or
// whatever else holds one. It returns ErrKey for other keys, and ErrFormat
// when a field is empty or too long: Version and SignerID have at most 255
// bytes.
func Sign(f File, key crypto.Signer) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok || public.N.BitLen() != keyBits || public.E != exponent {
		return nil, ErrKey
	}
	b, err := appendUnsigned(nil, f)
	if err != nil {
		return nil, err
	}
	digest := sha512.Sum512(b)
	// The zero Hash leaves out the DigestInfo.
	sig, err := key.Sign(rand.Reader, digest[:], crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("su3: sign: %w", err)
	}
	return append(b, sig...), nil
}

// appendUnsigned writes all that the signature covers.
func appendUnsigned(b []byte, f File) ([]byte, error) {
	if len(f.Version) > maxShortLen || f.SignerID == "" || len(f.SignerID) > maxShortLen || len(f.Content) == 0 {
		return nil, fmt.Errorf("%w: a field is empty or too long", ErrFormat)
	}
	version := make([]byte, max(len(f.Version), minVersionLen))
	copy(version, f.Version)

	var header [headerLen]byte
	copy(header[:], magic)
	binary.BigEndian.PutUint16(header[signatureAt:], uint16(signature.RSA4096))
	binary.BigEndian.PutUint16(header[signatureAt+2:], uint16(signature.RSA4096.SignatureLen()))
	header[versionLenAt] = byte(len(version))
	header[signerLenAt] = byte(len(f.SignerID))
	binary.BigEndian.PutUint64(header[contentLenAt:], uint64(len(f.Content)))
	header[fileTypeAt] = byte(f.FileType)
	header[contentTypeAt] = byte(f.ContentType)

	b = append(b, header[:]...)
	b = append(b, version...)
	b = append(b, f.SignerID...)
	return append(b, f.Content...), nil
}
