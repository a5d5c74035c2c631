package tunnel_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"testing"

	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
)

func randomKeys() *tunnel.Keys {
	k := new(tunnel.Keys)
	random.Fill(k.Layer[:])
	random.Fill(k.IV[:])
	return k
}

func randomLayers(n int) tunnel.Layers {
	var layers tunnel.Layers
	for range n {
		layers = append(layers, tunnel.NewLayer(randomKeys()))
	}
	return layers
}

func randomMessage() []byte {
	m := make([]byte, i2np.TunnelDataSize)
	random.Fill(m)
	return m
}

// hopByStandardLibrary is the transform of one hop as the specification words
// it.
func hopByStandardLibrary(k *tunnel.Keys, message []byte) []byte {
	ivBlock, _ := aes.NewCipher(k.IV[:])
	layerBlock, _ := aes.NewCipher(k.Layer[:])
	out := bytes.Clone(message)
	iv, data := out[4:20], out[20:]
	ivBlock.Encrypt(iv, iv)
	cipher.NewCBCEncrypter(layerBlock, iv).CryptBlocks(data, data)
	ivBlock.Encrypt(iv, iv)
	return out
}

func TestHopEncryptsAsTheSpecificationWords(t *testing.T) {
	var batch tunnel.Batch
	var got, want [][]byte
	for range 19 {
		k := randomKeys()
		m := randomMessage()
		want = append(want, hopByStandardLibrary(k, m))
		batch.Encrypt(tunnel.NewLayer(k), m)
		got = append(got, m)
	}
	if batch.Len() != 19 {
		t.Errorf("%d messages wait, not 19", batch.Len())
	}
	batch.Run()
	if batch.Len() != 0 {
		t.Errorf("%d messages wait after Run", batch.Len())
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("message %d differs", i)
		}
	}
}

// Tunnels of all lengths share the batches, as they do in a round.
func TestHopsRevealWhatTheCreatorConcealed(t *testing.T) {
	var tunnels []tunnel.Layers
	var plain, messages [][]byte
	for hops := range tunnel.MaxHops + 1 {
		for range 3 {
			tunnels = append(tunnels, randomLayers(hops))
			m := randomMessage()
			plain = append(plain, bytes.Clone(m))
			messages = append(messages, m)
		}
	}
	var batch tunnel.Batch
	for i, layers := range tunnels {
		batch.Decrypt(layers, messages[i])
	}
	batch.Run()
	for hop := range tunnel.MaxHops {
		for i, layers := range tunnels {
			if hop >= len(layers) {
				continue
			}
			if bytes.Equal(messages[i][4:], plain[i][4:]) {
				t.Errorf("message %d is plain before hop %d of %d", i, hop, len(layers))
			}
			batch.Encrypt(layers[hop], messages[i])
		}
		batch.Run()
	}
	for i := range messages {
		if !bytes.Equal(messages[i], plain[i]) {
			t.Errorf("message %d of a tunnel of %d hops differs", i, len(tunnels[i]))
		}
	}
}

func TestCreatorUndoesAllHopsOfAnInboundTunnel(t *testing.T) {
	layers := randomLayers(4)
	m := randomMessage()
	plain := bytes.Clone(m)
	var batch tunnel.Batch
	for _, hop := range layers {
		batch.Encrypt(hop, m)
		batch.Run()
	}
	batch.Decrypt(layers, m)
	batch.Run()
	if !bytes.Equal(m, plain) {
		t.Error("message differs")
	}
}

func TestBatchAllocatesNothing(t *testing.T) {
	layers := randomLayers(3)
	messages := make([][]byte, 32)
	for i := range messages {
		messages[i] = randomMessage()
	}
	var batch tunnel.Batch
	allocs := testing.AllocsPerRun(100, func() {
		for i, m := range messages {
			if i%2 == 0 {
				batch.Encrypt(layers[i%3], m)
			} else {
				batch.Decrypt(layers, m)
			}
		}
		batch.Run()
	})
	if allocs != 0 {
		t.Errorf("%v allocations per round", allocs)
	}
}

func BenchmarkHop(b *testing.B) {
	layers := randomLayers(8)
	messages := make([][]byte, 8)
	for i := range messages {
		messages[i] = randomMessage()
	}
	var batch tunnel.Batch
	b.SetBytes(i2np.TunnelDataSize)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		batch.Encrypt(layers[i%8], messages[i%8])
		if i%8 == 7 {
			batch.Run()
		}
	}
}

func BenchmarkCreatorThreeHops(b *testing.B) {
	layers := randomLayers(3)
	messages := make([][]byte, 8)
	for i := range messages {
		messages[i] = randomMessage()
	}
	var batch tunnel.Batch
	b.SetBytes(i2np.TunnelDataSize)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		batch.Decrypt(layers, messages[i%8])
		if i%8 == 7 {
			batch.Run()
		}
	}
}
