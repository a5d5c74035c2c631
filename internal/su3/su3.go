// Package su3 reads, verifies and writes su3 files: signed containers in which
// I2P spreads what a router needs before it can ask the network, above all the
// bundles of RouterInfos that reseed servers hand out.
//
// A file names its signer and what it is for. [Parse] takes it apart without
// believing a word; [File.Verify] looks the signer up among those trusted for
// that kind of content ([ReseedSigners] for bundles) and checks the signature
// over everything that comes before it. Only then is a bundle's zip worth
// opening: [Bundle] lists the RouterInfos in it within fixed limits, whoever
// signed it. [Pack] and [Sign] go the other way.
//
// The format is that of the software update specification. The signature is
// RSA over the bare SHA-512 digest, without the DigestInfo around it that
// PKCS #1 asks for; package signature knows.
package su3

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"allium/internal/signature"
)

// Errors of su3 files.
var (
	// ErrFormat reports bytes that are not an su3 file.
	ErrFormat = errors.New("su3: not an su3 file")
	// ErrUnknownSigner reports a signer who is not trusted with content of
	// the file's type.
	ErrUnknownSigner = errors.New("su3: unknown signer")
	// ErrNotYetValid reports a signer whose certificate begins later.
	ErrNotYetValid = errors.New("su3: the signer's certificate is not valid yet")
	// ErrExpired reports a signer whose certificate has run out.
	ErrExpired = errors.New("su3: the signer's certificate has expired")
	// ErrSignature reports a signature that does not fit the file.
	ErrSignature = errors.New("su3: wrong signature")
	// ErrNoTime reports a version that is not a time.
	ErrNoTime = errors.New("su3: the version is not a time")
	// ErrKey reports a key to sign with that is not RSA of 4096 bits with the
	// exponent 65537.
	ErrKey = errors.New("su3: not a key for su3 files")
)

// FileType is the format of the content.
type FileType uint8

// The file types.
const (
	Zip FileType = iota
	XML
	HTML
	XMLGzip
	TextGzip
	DMG
	EXE
)

// ContentType is what the content is for. It is a domain of trust: who may
// sign one type may not sign another.
type ContentType uint8

// The content types.
const (
	Unknown ContentType = iota
	RouterUpdate
	Plugin
	Reseed
	News
	Blocklist
)

// Layout of the header, in bytes. All numbers are big endian.
const (
	magic         = "I2Psu3"
	formatAt      = 7  // 1 byte, 0
	signatureAt   = 8  // 2 bytes of type, 2 of length
	versionLenAt  = 13 // 1 byte
	signerLenAt   = 15 // 1 byte
	contentLenAt  = 16 // 8 bytes
	fileTypeAt    = 25 // 1 byte
	contentTypeAt = 27 // 1 byte
	headerLen     = 40
	minVersionLen = 16 // shorter versions are padded with zeros
	maxShortLen   = 255
)

// File is an su3 file taken apart. Unless Verify returned nil, nothing in it
// is to be believed. Its slices alias the bytes that were parsed.
type File struct {
	SignatureType signature.Type
	FileType      FileType
	ContentType   ContentType
	Version       string // without its padding; for Reseed and News see Time
	SignerID      string // such as "name@mail.i2p", 1 to 255 bytes
	Content       []byte // never empty
	Signature     []byte

	signed []byte // all that the signature covers
}

// Parse takes an su3 file apart; b holds it and nothing else. Its work does
// not depend on the length of the file. Errors wrap ErrFormat.
func Parse(b []byte) (*File, error) {
	if len(b) < headerLen || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: no header", ErrFormat)
	}
	if b[formatAt] != 0 {
		return nil, fmt.Errorf("%w: format %d", ErrFormat, b[formatAt])
	}
	f := &File{
		SignatureType: signature.Type(binary.BigEndian.Uint16(b[signatureAt:])),
		FileType:      FileType(b[fileTypeAt]),
		ContentType:   ContentType(b[contentTypeAt]),
	}
	signatureLen := int(binary.BigEndian.Uint16(b[signatureAt+2:]))
	versionLen, signerLen := int(b[versionLenAt]), int(b[signerLenAt])
	contentLen := binary.BigEndian.Uint64(b[contentLenAt:])
	switch {
	case signatureLen == 0 || signatureLen != f.SignatureType.SignatureLen():
		return nil, fmt.Errorf("%w: signature of type %d with %d bytes", ErrFormat, f.SignatureType, signatureLen)
	case versionLen < minVersionLen:
		return nil, fmt.Errorf("%w: version of %d bytes", ErrFormat, versionLen)
	case signerLen == 0:
		return nil, fmt.Errorf("%w: no signer", ErrFormat)
	case contentLen == 0:
		return nil, fmt.Errorf("%w: no content", ErrFormat)
	}
	contentAt := headerLen + versionLen + signerLen
	// The length is compared before it is used: it may be any 64 bits.
	rest := len(b) - contentAt - signatureLen
	if rest < 0 || contentLen != uint64(rest) {
		return nil, fmt.Errorf("%w: %d bytes do not hold a content of %d", ErrFormat, len(b), contentLen)
	}
	version, _, _ := bytes.Cut(b[headerLen:headerLen+versionLen], []byte{0})
	signedLen := contentAt + rest
	f.Version = string(version)
	f.SignerID = string(b[headerLen+versionLen : contentAt])
	f.Content = b[contentAt:signedLen:signedLen]
	f.signed = b[:signedLen:signedLen]
	f.Signature = b[signedLen:]
	return f, nil
}

// Verify checks at the time now that the file is signed by one of signers who
// is trusted with its type of content. It returns nil, or an error that wraps
// ErrUnknownSigner, ErrNotYetValid, ErrExpired or ErrSignature. A signer may
// be listed several times, with an old and a new key.
func (f *File) Verify(now time.Time, signers []Signer) error {
	err := ErrUnknownSigner
	for _, s := range signers {
		if s.ID != f.SignerID || s.ContentType != f.ContentType {
			continue
		}
		switch {
		case now.Before(s.NotBefore):
			err = ErrNotYetValid
		case now.After(s.NotAfter):
			err = ErrExpired
		case s.SignatureType != f.SignatureType || !signature.Verify(s.SignatureType, s.Key, f.signed, f.Signature):
			err = ErrSignature
		default:
			return nil
		}
	}
	return fmt.Errorf("%w: %q", err, f.SignerID)
}

// Time is when the content was made. Reseed bundles and news feeds have it as
// their version, in seconds since 1970; for others the error is ErrNoTime.
func (f *File) Time() (time.Time, error) {
	// 11 digits last beyond the year 5000, and fit every use of a time.Time.
	seconds, err := strconv.ParseUint(f.Version, 10, 64)
	if err != nil || len(f.Version) > 11 {
		return time.Time{}, fmt.Errorf("%w: %q", ErrNoTime, f.Version)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
