package tunnel

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"

	"allium/internal/random"
)

// padding makes the random bytes, none of them zero, that fill up tunnel
// messages. Whoever is at the end of a tunnel sees them, so no byte may occur
// in two tunnels: that would tell they have the same creator. They come from
// AES-CTR under a random key, five times faster than from the system.
type padding struct {
	stream cipher.Stream
}

func newPadding() padding {
	var seed [32 + aes.BlockSize]byte
	random.Fill(seed[:])
	block, err := aes.NewCipher(seed[:32])
	if err != nil {
		panic(err) // only for keys of another size
	}
	return padding{cipher.NewCTR(block, seed[32:])}
}

// fill overwrites b.
func (p padding) fill(b []byte) {
	clear(b)
	p.stream.XORKeyStream(b, b)
	for {
		zero := bytes.IndexByte(b, 0)
		if zero < 0 {
			return
		}
		for b[zero] == 0 {
			p.stream.XORKeyStream(b[zero:zero+1], b[zero:zero+1])
		}
		b = b[zero+1:]
	}
}
