package naming

import (
	"fmt"
	"slices"
	"strings"
)

const (
	suffix = ".i2p"
	// alternative follows a name where .i2p alone could leak into the DNS
	// (RFC 9476).
	alternative = ".alt"
	// maxName is the length of the longest name, with its suffix.
	maxName = 67
	// hashLetters is how many letters of base32 a hash takes.
	hashLetters = 52
)

// reserved are names, with all below them, that mean something else: answers
// in themselves, and pages of the router and its proxies.
var reserved = []string{"b32", "proxy", "router", "console", "mail"}

// Normalize is the form of a host name that books use: in small letters and
// without ".alt" (naming; RFC 9476). It fails with ErrName for all that is no
// name: more than 67 characters, another ending than ".i2p", other signs than
// letters, digits, "-" and ".", empty parts, parts that begin or end with "-"
// or have "--" without being of the form "xn--", what looks like a hash, and
// b32.i2p, proxy.i2p, router.i2p, console.i2p and mail.i2p with all names
// below them.
func Normalize(name string) (string, error) {
	if len(name) > maxName+len(alternative) {
		return "", fmt.Errorf("%w: %d characters", ErrName, len(name))
	}
	n := strings.Map(lower, name)
	if strings.HasSuffix(n, suffix+alternative) {
		n = n[:len(n)-len(alternative)]
	}
	if !valid(n) {
		return "", fmt.Errorf("%w: %q", ErrName, name)
	}
	return n, nil
}

// lower makes capitals small, of ASCII only: other letters can turn into
// ASCII and stay forbidden.
func lower(c rune) rune {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func valid(name string) bool {
	stem, ok := strings.CutSuffix(name, suffix)
	if !ok || len(name) > maxName {
		return false
	}
	labels := strings.Split(stem, ".")
	last := labels[len(labels)-1]
	return !slices.ContainsFunc(labels, func(l string) bool { return !validLabel(l) }) &&
		!slices.Contains(reserved, last) &&
		!(len(labels) == 1 && looksLikeHash(last))
}

func validLabel(l string) bool {
	for _, c := range []byte(l) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return l != "" && l[0] != '-' && l[len(l)-1] != '-' &&
		(!strings.Contains(l, "--") || strings.HasPrefix(l, "xn--"))
}

func looksLikeHash(l string) bool {
	return len(l) == hashLetters && strings.Trim(l, "abcdefghijklmnopqrstuvwxyz234567") == ""
}
