package data

import (
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
)

// The alphabets of I2P. Base64 has "-" and "~" in the last two places, so
// that it can stand in file names and URLs, and keeps its padding.
var (
	base64I2P = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~").Strict()
	base32I2P = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
)

// EncodeBase64 writes b in the base64 of I2P, padded with "=".
func EncodeBase64(b []byte) string { return base64I2P.EncodeToString(b) }

// DecodeBase64 reads what EncodeBase64 writes, and nothing else: other
// letters, missing padding and nonzero bits at the end are ErrEncoding.
func DecodeBase64(s string) ([]byte, error) {
	b, err := base64I2P.DecodeString(s)
	// The standard decoder passes over line ends.
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("data: base64: %w", ErrEncoding)
	}
	return b, nil
}

// decodeKey fills key, of at most 32 bytes, from all of text; it reports
// whether text is the base64 of exactly as many bytes.
func decodeKey(key, text []byte) bool {
	var room [36]byte // a multiple of three bytes
	if len(text) != base64I2P.EncodedLen(len(key)) {
		return false
	}
	n, err := base64I2P.Decode(room[:], text)
	if err != nil || n != len(key) {
		return false
	}
	copy(key, room[:])
	return true
}

// EncodeBase32 writes b in lower-case base32 without padding.
func EncodeBase32(b []byte) string { return base32I2P.EncodeToString(b) }

// DecodeBase32 reads what EncodeBase32 writes, in letters of either case.
// Other letters and nonzero bits at the end are ErrEncoding.
func DecodeBase32(s string) ([]byte, error) {
	s = strings.ToLower(s)
	b, err := base32I2P.DecodeString(s)
	// The standard decoder passes over line ends and left-over bits.
	if err != nil || EncodeBase32(b) != s {
		return nil, fmt.Errorf("data: base32: %w", ErrEncoding)
	}
	return b, nil
}
