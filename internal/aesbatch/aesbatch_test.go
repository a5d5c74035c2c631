package aesbatch_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"testing"
	"testing/cryptotest"

	"allium/internal/aesbatch"
)

// layer is a message's keys with the standard library's view of them.
type layer struct {
	iv, data             *aesbatch.Key
	plainIV, plainData   cipher.Block
	original, want, work []byte
}

func randomKey(t testing.TB) (*aesbatch.Key, cipher.Block) {
	var k [32]byte
	rand.Read(k[:])
	block, err := aes.NewCipher(k[:])
	if err != nil {
		t.Fatal(err)
	}
	key := aesbatch.NewKey(&k)
	clear(k[:]) // the key must not point into it
	return key, block
}

// newLayer makes a message of n data blocks at an odd address, with what the
// standard library encrypts it to.
func newLayer(t testing.TB, n int) *layer {
	l := &layer{}
	l.iv, l.plainIV = randomKey(t)
	l.data, l.plainData = randomKey(t)
	l.work = make([]byte, 3+aesbatch.BlockSize*(n+1))[3:]
	rand.Read(l.work)
	l.original = bytes.Clone(l.work)
	l.want = bytes.Clone(l.work)
	iv := l.want[:aesbatch.BlockSize]
	l.plainIV.Encrypt(iv, iv)
	cipher.NewCBCEncrypter(l.plainData, iv).CryptBlocks(l.want[aesbatch.BlockSize:], l.want[aesbatch.BlockSize:])
	l.plainIV.Encrypt(iv, iv)
	return l
}

func (l *layer) job() aesbatch.Job {
	return aesbatch.Job{IV: l.iv, Data: l.data, Message: l.work}
}

func TestBatchAgreesWithStandardLibrary(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	lengths := map[string]func(i int) int{
		"one length":    func(int) int { return 63 },
		"mixed lengths": func(i int) int { return []int{5, 0, 63, 1, 64, 2, 17}[i%7] },
	}
	for name, length := range lengths {
		for n := range 17 {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				var layers []*layer
				var jobs []aesbatch.Job
				for i := range n {
					layers = append(layers, newLayer(t, length(i)))
					jobs = append(jobs, layers[i].job())
				}
				aesbatch.Encrypt(jobs)
				for i, l := range layers {
					if !bytes.Equal(l.work, l.want) {
						t.Errorf("message %d encrypted otherwise", i)
					}
				}
				aesbatch.Decrypt(jobs)
				for i, l := range layers {
					if !bytes.Equal(l.work, l.original) {
						t.Errorf("message %d did not come back", i)
					}
				}
			})
		}
	}
}

func TestNeighboursInOneArenaStayApart(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 2)
	const size, gap = 1024, 7
	arena := make([]byte, 16*(size+gap))
	rand.Read(arena)
	original := bytes.Clone(arena)
	iv, _ := randomKey(t)
	data, _ := randomKey(t)
	var jobs []aesbatch.Job
	for at := gap; at < len(arena); at += size + gap {
		jobs = append(jobs, aesbatch.Job{IV: iv, Data: data, Message: arena[at : at+size]})
	}
	aesbatch.Encrypt(jobs)
	for at := 0; at < len(arena); at += size + gap {
		if !bytes.Equal(arena[at:at+gap], original[at:at+gap]) {
			t.Errorf("the gap at %d changed", at)
		}
	}
	aesbatch.Decrypt(jobs)
	if !bytes.Equal(arena, original) {
		t.Error("the arena did not come back")
	}
}

func TestCBCGoesOnWhereItStopped(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 3)
	key, block := randomKey(t)
	var iv, start [16]byte
	rand.Read(iv[:])
	start = iv
	plain := make([]byte, 16*10)
	rand.Read(plain)
	want := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, iv[:]).CryptBlocks(want, plain)

	pieces := [][2]int{{0, 32}, {32, 32}, {32, 48}, {48, 160}}
	got := bytes.Clone(plain)
	for _, p := range pieces {
		aesbatch.EncryptCBC(key, &iv, got[p[0]:p[1]])
	}
	if !bytes.Equal(got, want) {
		t.Error("encrypted in pieces, it differs")
	}
	if !bytes.Equal(iv[:], want[len(want)-16:]) {
		t.Error("after encrypting, iv is not the last block of ciphertext")
	}
	iv = start
	for _, p := range pieces {
		aesbatch.DecryptCBC(key, &iv, got[p[0]:p[1]])
	}
	if !bytes.Equal(got, plain) {
		t.Error("decrypted in pieces, it differs")
	}
	if !bytes.Equal(iv[:], want[len(want)-16:]) {
		t.Error("after decrypting, iv is not the last block of ciphertext")
	}
}

// The vector of NIST SP 800-38A, F.2.5 (CBC-AES256.Encrypt), first block.
func TestCBCKnownAnswer(t *testing.T) {
	var k [32]byte
	var iv [16]byte
	hex.Decode(k[:], []byte("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
	hex.Decode(iv[:], []byte("000102030405060708090a0b0c0d0e0f"))
	b, _ := hex.DecodeString("6bc1bee22e409f96e93d7e117393172a")
	aesbatch.EncryptCBC(aesbatch.NewKey(&k), &iv, b)
	if got := hex.EncodeToString(b); got != "f58c4c04d6e5f1ba779eabfb5f7bfbd6" {
		t.Errorf("got %s", got)
	}
}

func TestBrokenBlocksPanic(t *testing.T) {
	key, _ := randomKey(t)
	var iv [16]byte
	calls := map[string]func(b []byte){
		"Encrypt":    func(b []byte) { aesbatch.Encrypt([]aesbatch.Job{{IV: key, Data: key, Message: b}}) },
		"Decrypt":    func(b []byte) { aesbatch.Decrypt([]aesbatch.Job{{IV: key, Data: key, Message: b}}) },
		"EncryptCBC": func(b []byte) { aesbatch.EncryptCBC(key, &iv, b) },
		"DecryptCBC": func(b []byte) { aesbatch.DecryptCBC(key, &iv, b) },
	}
	for name, call := range calls {
		for _, n := range []int{1, 15, 17, 1023} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s of %d bytes did not panic", name, n)
					}
				}()
				call(make([]byte, n))
			}()
		}
	}
}

func TestBatchAllocatesNothing(t *testing.T) {
	var jobs []aesbatch.Job
	for range 16 {
		jobs = append(jobs, newLayer(t, 63).job())
	}
	var iv [16]byte
	n := testing.AllocsPerRun(20, func() {
		aesbatch.Encrypt(jobs)
		aesbatch.Decrypt(jobs)
		aesbatch.EncryptCBC(jobs[0].Data, &iv, jobs[0].Message)
		aesbatch.DecryptCBC(jobs[0].Data, &iv, jobs[0].Message)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Per message of 1024 bytes; "standard" does the same with crypto/cipher.
func BenchmarkEncrypt(b *testing.B) {
	for _, n := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmarkBatch(b, n, aesbatch.Encrypt)
		})
	}
	b.Run("standard", func(b *testing.B) {
		l := newLayer(b, 63)
		iv, data := l.work[:16], l.work[16:]
		mode := cipher.NewCBCEncrypter(l.plainData, iv)
		setIV := mode.(interface{ SetIV([]byte) })
		b.SetBytes(1024)
		b.ReportAllocs()
		for b.Loop() {
			l.plainIV.Encrypt(iv, iv)
			setIV.SetIV(iv)
			mode.CryptBlocks(data, data)
			l.plainIV.Encrypt(iv, iv)
		}
	})
}

func BenchmarkDecrypt(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			benchmarkBatch(b, n, aesbatch.Decrypt)
		})
	}
}

func benchmarkBatch(b *testing.B, n int, work func([]aesbatch.Job)) {
	var jobs []aesbatch.Job
	for range n {
		jobs = append(jobs, newLayer(b, 63).job())
	}
	b.SetBytes(1024 * int64(n))
	b.ReportAllocs()
	for b.Loop() {
		work(jobs)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
}
