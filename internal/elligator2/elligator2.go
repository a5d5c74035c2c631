// Package elligator2 hides X25519 public keys among random bytes. The first
// bytes of a new ratchet session are an ephemeral key, and half of all
// 32-byte strings are no u-coordinate of the curve: an observer could tell.
// Elligator2 maps about half of all public keys to 254-bit numbers, the
// representatives, that look uniform; the other keys are thrown away, and the
// two spare bits filled with random ones. (ECIES-X25519-AEAD-Ratchet,
// Elligator2; Bernstein et al., Elligator, 2013, 5.)
//
// The curve is v² = u³ + A u² + u modulo p = 2²⁵⁵ - 19, and the fixed
// non-square of the map is 2. A representative r and -r stand for the same
// key; on the wire is the smaller.
package elligator2

import (
	"crypto/rand"

	"allium/internal/x25519"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Representative is the encoded form of a public key: a number of 254 bits,
// little endian, and two random bits on top.
type Representative = [32]byte

const (
	highBranch = 0x01 // of the byte given to Encode: which root to take
	spareBits  = 0xc0 // of that byte and of the last byte of a representative
)

var (
	one    = new(field.Element).One()
	curveA = new(field.Element).Mult32(one, 486662)
	minusA = new(field.Element).Negate(curveA)
)

// Generate makes a random key pair whose public key has a representative. It
// tries two pairs on average; keep some ready where time matters.
func Generate() (x25519.KeyPair, Representative) {
	for {
		var random [33]byte
		rand.Read(random[:])
		private := x25519.PrivateKey(random[:32])
		point := basePointTimes(&private)
		// On the Edwards form, u = (Z+Y)/(Z-Y): a fraction is all that
		// encoding needs, and half of the points go no further.
		_, y, z, _ := point.ExtendedCoordinates()
		var num, den field.Element
		rep, ok := encode(num.Add(z, y), den.Subtract(z, y), random[32])
		if ok {
			public := x25519.PublicKey(point.BytesMontgomery())
			return x25519.KeyPair{Private: private, Public: public}, rep
		}
	}
}

// basePointTimes is the public key of private as a point of the Edwards form,
// where there are tables for it.
func basePointTimes(private *x25519.PrivateKey) *edwards25519.Point {
	scalar, err := edwards25519.NewScalar().SetBytesWithClamping(private[:])
	if err != nil {
		panic("elligator2: " + err.Error()) // only for other lengths
	}
	return new(edwards25519.Point).ScalarBaseMult(scalar)
}

// Encode finds the representative of a public key; about half of all keys
// have none. A key has two, and random, a random byte, picks one by its
// lowest bit; its two highest bits become the spare bits.
func Encode(public *x25519.PublicKey, random byte) (rep Representative, ok bool) {
	var u field.Element
	if _, err := u.SetBytes(public[:]); err != nil {
		panic("elligator2: " + err.Error()) // only for other lengths
	}
	return encode(&u, one, random)
}

// encode maps u = num/den to r = sqrt(-u / 2(u+A)), or, on the high branch,
// to r = sqrt(-(u+A) / 2u). Both roots exist or neither does.
func encode(num, den *field.Element, random byte) (rep Representative, ok bool) {
	var top, bottom, r field.Element
	top.Negate(num)
	bottom.Multiply(den, curveA)
	bottom.Add(&bottom, num)
	if random&highBranch != 0 {
		top, bottom = *bottom.Negate(&bottom), *num
	}
	bottom.Add(&bottom, &bottom)
	if _, wasSquare := r.SqrtRatio(&top, &bottom); wasSquare == 0 {
		return rep, false
	}
	// The larger of r and -r is the one whose double exceeds p, and so is odd
	// after reduction.
	var double, negated field.Element
	double.Add(&r, &r)
	r.Select(negated.Negate(&r), &r, double.IsNegative())
	copy(rep[:], r.Bytes())
	rep[31] |= random & spareBits
	return rep, true
}

// Decode is the public key a representative stands for. Every string of 32
// bytes is one; the two spare bits do not matter.
func Decode(rep *Representative) x25519.PublicKey {
	number := *rep
	number[31] &^= spareBits
	var r, v, t field.Element
	if _, err := r.SetBytes(number[:]); err != nil {
		panic("elligator2: " + err.Error()) // only for other lengths
	}
	// v = -A / (1 + 2r²); the divisor is never 0, as -1/2 is no square.
	v.Square(&r)
	v.Add(&v, &v)
	v.Add(&v, one)
	v.Invert(&v)
	v.Multiply(&v, minusA)
	// v is the key if v³ + Av² + v is a square, and else -v - A is.
	t.Add(&v, curveA)
	t.Multiply(&t, &v)
	t.Add(&t, one)
	t.Multiply(&t, &v)
	_, wasSquare := new(field.Element).SqrtRatio(&t, one)
	var other field.Element
	other.Subtract(minusA, &v)
	v.Select(&v, &other, wasSquare)
	return x25519.PublicKey(v.Bytes())
}
