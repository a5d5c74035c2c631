package signature

import (
	"crypto/sha1"
	"math/big"
)

// The group of all DSA keys in I2P (cryptography, DSA).
var (
	dsaP = number("9c05b2aa960d9b97b8931963c9cc9e8c3026e9b8ed92fad0a69cc886d5bf8015" +
		"fcadae31a0ad18fab3f01b00a358de237655c4964afaa2b337e96ad316b9fb1c" +
		"c564b5aec5b69a9ff6c3e4548707fef8503d91dd8602e867e6d35d2235c1869c" +
		"e2479c3b9d5401de04e0727fb33d6511285d4cf29538d9e3b6051f5b22cc1c93")
	dsaQ = number("a5dfc28fef4ca1e286744cd8eed9d29d684046b7")
	dsaG = number("0c1f4d27d40093b429e962d7223824e0bbc47e7c832a39236fc683af84889581" +
		"075ff9082ed32353d4374d7301cda1d23c431f4698599dda02451824ff369752" +
		"593647cc3ddc197de985e43d136cdcfc6bd5409cd2f450821142a5e6f8eb1c3a" +
		"b5d0484b8129fcf17bce4f7f33321c3cb3dbb14a905e7b2b3e93be4708cbcc82")
)

func number(hex string) *big.Int {
	n, _ := new(big.Int).SetString(hex, 16)
	return n
}

// verifyDSA is FIPS 186-4, 4.7, with SHA-1, whose 20 bytes are as long as q.
func verifyDSA(pub, message, sig []byte) bool {
	y := new(big.Int).SetBytes(pub)
	r, s := new(big.Int).SetBytes(sig[:20]), new(big.Int).SetBytes(sig[20:])
	one := big.NewInt(1)
	if y.Cmp(one) <= 0 || y.Cmp(dsaP) >= 0 {
		return false
	}
	if r.Sign() == 0 || r.Cmp(dsaQ) >= 0 || s.Sign() == 0 || s.Cmp(dsaQ) >= 0 {
		return false
	}
	digest := sha1.Sum(message)
	w := new(big.Int).ModInverse(s, dsaQ)
	u1 := new(big.Int).SetBytes(digest[:])
	u1.Mul(u1, w).Mod(u1, dsaQ)
	u2 := w.Mul(r, w).Mod(w, dsaQ)
	v := u1.Exp(dsaG, u1, dsaP)
	v.Mul(v, y.Exp(y, u2, dsaP)).Mod(v, dsaP).Mod(v, dsaQ)
	return v.Cmp(r) == 0
}
