// Package random draws the numbers that protocol decisions need: identifiers,
// padding sizes, delays, the order in which equals are tried.
//
// Everything comes from crypto/rand, so no decision can be guessed from those
// before it, and a test that calls testing/cryptotest.SetGlobalRandom sees the
// same choices in every run. Nothing is kept between calls: what a call draws
// depends only on how much was drawn before it, not on who drew it.
package random

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"time"
)

// Fill overwrites all of b with random bytes.
func Fill(b []byte) {
	// Read never fails: the standard library ends the process instead.
	rand.Read(b)
}

// Uint32 is a number from all 32 bits.
func Uint32() uint32 {
	var b [4]byte
	Fill(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

// Nonzero32 is a number from 1 to the largest of 32 bits, for identifiers
// whose zero means none.
func Nonzero32() uint32 {
	for {
		if v := Uint32(); v != 0 {
			return v
		}
	}
}

// Uint64 is a number from all 64 bits.
func Uint64() uint64 {
	var b [8]byte
	Fill(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// IntN is a number from 0 to n-1, each as likely as the others. It panics
// when n is not positive.
func IntN(n int) int {
	if n <= 0 {
		panic("random: IntN of nothing")
	}
	return int(below(uint64(n)))
}

// Between is a duration from lo to hi, both included; it is lo when hi is not
// above it.
func Between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	span := uint64(hi) - uint64(lo) // right even where hi-lo would overflow
	if span == 1<<64-1 {
		return time.Duration(Uint64())
	}
	return time.Duration(uint64(lo) + below(span+1))
}

// Shuffle puts n things in random order, every order as likely as the others,
// by calling swap for pairs of positions below n.
func Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, IntN(i+1))
	}
}

// below is a number from 0 to n-1. The upper half of a product is even when
// the few lowest values of the lower half are drawn again (Lemire 2019).
func below(n uint64) uint64 {
	hi, lo := bits.Mul64(Uint64(), n)
	if lo < n {
		for uneven := -n % n; lo < uneven; {
			hi, lo = bits.Mul64(Uint64(), n)
		}
	}
	return hi
}
