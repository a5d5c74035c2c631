package ntcp2_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"allium/internal/transport/ntcp2"
)

var frameKey, frameSip = [32]byte{1}, [32]byte{2}

// The first mask is of the reference vector of SipHash-2-4 for the keys and
// the message that count up from zero, and the next of its result.
func TestMasksAreSipHash(t *testing.T) {
	var sip [32]byte
	for i := range sip {
		sip[i] = byte(i)
	}
	copy(sip[16:24], sip[0:8])
	if got := ntcp2.Masks(sip, 1)[0]; got != 0x2462 {
		t.Errorf("%04x", got)
	}
	if all := ntcp2.Masks(sip, 3); all[0] == all[1] || all[1] == all[2] {
		t.Errorf("masks repeat: %04x", all)
	}
}

// readAll opens what comes in pieces of a size, and gives all payloads.
func readAll(f *ntcp2.Frames, b []byte, piece int) (payloads [][]byte, err error) {
	for len(b) > 0 {
		n := min(piece, len(b))
		part := bytes.Clone(b[:n])
		b = b[n:]
		for len(part) > 0 {
			payload, rest, ok, err := f.Next(part)
			if err != nil {
				return payloads, err
			}
			if !ok {
				break
			}
			payloads = append(payloads, bytes.Clone(payload))
			part = rest
		}
	}
	return payloads, nil
}

func TestFramesSurviveAnySplit(t *testing.T) {
	var stream []byte
	var want [][]byte
	out := ntcp2.NewFrames(frameKey, frameSip)
	for _, size := range []int{0, 1, 5, 100, 0, 17000, 3, ntcp2.MaxFrame} {
		blocks := bytes.Repeat([]byte{byte(size)}, size)
		want = append(want, blocks)
		stream = out.Seal(stream, blocks)
	}
	for _, piece := range []int{1, 2, 3, 17, 18, 19, 1000, 16384, 65535, 1 << 20} {
		got, err := readAll(ntcp2.NewFrames(frameKey, frameSip), stream, piece)
		if err != nil || len(got) != len(want) {
			t.Fatalf("pieces of %d: %d frames, %v", piece, len(got), err)
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("pieces of %d: frame %d differs", piece, i)
			}
		}
	}
}

// What one read hands up must stay as it is until the end of the round, also
// where the read ends in the next frame.
func TestPayloadsOfOneReadStay(t *testing.T) {
	out := ntcp2.NewFrames(frameKey, frameSip)
	var stream []byte
	for i := range 3 {
		stream = out.Seal(stream, bytes.Repeat([]byte{byte(i)}, 500))
	}
	in := ntcp2.NewFrames(frameKey, frameSip)
	if _, _, ok, err := in.Next(bytes.Clone(stream[:100])); ok || err != nil {
		t.Fatal(ok, err)
	}
	second := bytes.Clone(stream[100:1200])
	first, rest, ok, err := in.Next(second)
	if !ok || err != nil {
		t.Fatal(err)
	}
	middle, rest, ok, err := in.Next(rest)
	if !ok || err != nil {
		t.Fatal(err)
	}
	if _, _, ok, _ := in.Next(rest); ok {
		t.Fatal("a third frame too early")
	}
	for i, payload := range [][]byte{first, middle} {
		if !bytes.Equal(payload, bytes.Repeat([]byte{byte(i)}, 500)) {
			t.Errorf("frame %d was written over", i)
		}
	}
	if last, _, ok, err := in.Next(bytes.Clone(stream[1200:])); !ok || err != nil || last[0] != 2 {
		t.Error(err)
	}
}

func TestDamagedFrameIsAnError(t *testing.T) {
	frame := ntcp2.NewFrames(frameKey, frameSip).Seal(nil, make([]byte, 40))
	for at := range frame {
		damaged := append(bytes.Clone(frame), make([]byte, 70000)...)
		damaged[at] ^= 0x40
		if _, err := readAll(ntcp2.NewFrames(frameKey, frameSip), damaged, 1000); !errors.Is(err, ntcp2.ErrFrame) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	good := ntcp2.NewFrames(frameKey, frameSip).Seal(nil, []byte("blocks"))
	f.Add(good, 5)
	f.Add(good[:9], 1)
	f.Add(bytes.Repeat([]byte{0xff}, 100), 100)
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		got, _ := readAll(ntcp2.NewFrames(frameKey, frameSip), b, max(piece, 1))
		if len(got) > 0 && !bytes.HasPrefix(b, good) {
			t.Error("opened a forged frame")
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	for _, size := range []int{64, 1040, 4160, 16640} {
		out := ntcp2.NewFrames(frameKey, frameSip)
		buf := make([]byte, 0, size+100)
		blocks := make([]byte, size)
		b.Run(fmt.Sprintf("seal/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				out.Seal(buf, blocks)
			}
		})
		b.Run(fmt.Sprintf("sealAndOpen/%d", size), func(b *testing.B) {
			out, in := ntcp2.NewFrames(frameKey, frameSip), ntcp2.NewFrames(frameKey, frameSip)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, _, ok, err := in.Next(out.Seal(buf, blocks)); !ok || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
