package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"allium/internal/wire"
)

// message is one of each field.
func message() []byte {
	b := []byte{0xfe}
	b = binary.BigEndian.AppendUint16(b, 0xfedc)
	b = binary.BigEndian.AppendUint32(b, 0xfedcba98)
	b = binary.BigEndian.AppendUint64(b, 0xfedcba9876543210)
	b = append(b, "bytes"...)
	b = append(b, "fill"...)
	b, err := wire.AppendShortString(b, "string")
	if err != nil {
		panic(err)
	}
	return append(b, "rest"...)
}

func TestReaderGivesFieldsInOrder(t *testing.T) {
	b := message()
	r := wire.NewReader(b)
	if v := r.Uint8(); v != 0xfe {
		t.Errorf("Uint8 %#x", v)
	}
	if v := r.Uint16(); v != 0xfedc {
		t.Errorf("Uint16 %#x", v)
	}
	if v := r.Uint32(); v != 0xfedcba98 {
		t.Errorf("Uint32 %#x", v)
	}
	if v := r.Uint64(); v != 0xfedcba9876543210 {
		t.Errorf("Uint64 %#x", v)
	}
	if v := r.Bytes(5); string(v) != "bytes" {
		t.Errorf("Bytes %q", v)
	}
	var fill [4]byte
	if r.Fill(fill[:]); string(fill[:]) != "fill" {
		t.Errorf("Fill %q", fill)
	}
	if r.Offset() != 24 || r.Len() != len(b)-24 {
		t.Errorf("at %d with %d left", r.Offset(), r.Len())
	}
	if v := r.ShortString(); string(v) != "string" {
		t.Errorf("ShortString %q", v)
	}
	if v := r.Rest(); string(v) != "rest" {
		t.Errorf("Rest %q", v)
	}
	if v := r.Rest(); len(v) != 0 {
		t.Errorf("second Rest %q", v)
	}
	if err := r.Done(); err != nil {
		t.Error(err)
	}
}

func TestAppendingToBytesLeavesTheMessageAlone(t *testing.T) {
	b := message()
	want := bytes.Clone(b)
	r := wire.NewReader(b)
	_ = append(r.Bytes(3), 'X')
	r.Bytes(21)
	_ = append(r.ShortString(), 'X')
	if !bytes.Equal(b, want) {
		t.Errorf("message is now %q", b)
	}
}

func TestShortMessageFailsAtItsField(t *testing.T) {
	fields := map[string]func(r *wire.Reader) bool{
		"Uint8":       func(r *wire.Reader) bool { r.Rest(); return r.Uint8() == 0 },
		"Uint16":      func(r *wire.Reader) bool { r.Bytes(6); return r.Uint16() == 0 },
		"Uint32":      func(r *wire.Reader) bool { r.Bytes(4); return r.Uint32() == 0 },
		"Uint64":      func(r *wire.Reader) bool { return r.Uint64() == 0 },
		"Bytes":       func(r *wire.Reader) bool { return r.Bytes(8) == nil },
		"Bytes(-1)":   func(r *wire.Reader) bool { return r.Bytes(-1) == nil },
		"ShortString": func(r *wire.Reader) bool { return r.ShortString() == nil },
		"Fill": func(r *wire.Reader) bool {
			dst := []byte("untouched")
			r.Fill(dst)
			return string(dst) == "untouched"
		},
	}
	for name, read := range fields {
		r := wire.NewReader([]byte{7, 1, 2, 3, 4, 5, 6})
		if !read(&r) {
			t.Errorf("%s gave something", name)
		}
		if !errors.Is(r.Err(), wire.ErrShort) {
			t.Errorf("%s: error %v", name, r.Err())
		}
		at := map[string]int{"Uint8": 7, "Uint16": 6, "Uint32": 4}[name]
		if r.Offset() != at {
			t.Errorf("%s failed at %d, not %d", name, r.Offset(), at)
		}
		if r.Len() != 0 || r.Uint8() != 0 || len(r.Rest()) != 0 {
			t.Errorf("%s: something is left to read after the failure", name)
		}
	}
}

func TestFirstFailureStays(t *testing.T) {
	mine := errors.New("mine")
	r := wire.NewReader([]byte{1, 2, 3})
	r.Fail(nil)
	if r.Err() != nil || r.Len() != 3 {
		t.Error("Fail(nil) is a failure")
	}
	r.Uint8()
	r.Fail(mine)
	r.Fail(errors.New("later"))
	r.Uint64()
	if r.Done() != mine || r.Err() != mine {
		t.Errorf("the failure is %v", r.Err())
	}
}

func TestDoneWantsTheWholeMessage(t *testing.T) {
	r := wire.NewReader([]byte{1, 2, 3})
	r.Uint16()
	if err := r.Done(); !errors.Is(err, wire.ErrTrailing) {
		t.Errorf("error %v", err)
	}
	var empty wire.Reader
	if err := empty.Done(); err != nil {
		t.Errorf("empty message: %v", err)
	}
}

func TestShortStringHoldsAtMost255Bytes(t *testing.T) {
	b, err := wire.AppendShortString([]byte("x"), strings.Repeat("s", 255))
	if err != nil || len(b) != 257 {
		t.Errorf("255 bytes became %d, error %v", len(b), err)
	}
	b, err = wire.AppendShortString([]byte("x"), strings.Repeat("s", 256))
	if !errors.Is(err, wire.ErrTooLong) || string(b) != "x" {
		t.Errorf("256 bytes gave %q, error %v", b, err)
	}
}

// parse reads one of each field and adds them up.
func parse(b []byte, fill []byte) (uint64, error) {
	r := wire.NewReader(b)
	sum := uint64(r.Uint8()) + uint64(r.Uint16()) + uint64(r.Uint32()) + r.Uint64()
	sum += uint64(len(r.Bytes(5)))
	r.Fill(fill)
	sum += uint64(len(r.ShortString()) + len(r.Rest()))
	return sum, r.Done()
}

func TestReadingAllocatesNothing(t *testing.T) {
	b, short, fill := message(), message()[:20], make([]byte, 4)
	n := testing.AllocsPerRun(100, func() {
		if _, err := parse(b, fill); err != nil {
			t.Error(err)
		}
		if _, err := parse(short, fill); err == nil {
			t.Error("no error")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReader(b *testing.B) {
	m, fill := message(), make([]byte, 4)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(m, fill); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzReader runs a program of reads: each byte picks a field, the next its
// size. Whatever comes, the fields laid end to end are the message from its
// start up to Offset.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 2, 0, 3, 0, 4, 5, 5, 4, 6, 0, 7, 0}, message())
	f.Add([]byte{6, 0, 6, 0}, []byte{3, 'a', 'b', 'c', 9, 'd'})
	f.Add([]byte{4, 255}, []byte{})
	f.Fuzz(func(t *testing.T, program, m []byte) {
		original := bytes.Clone(m)
		r := wire.NewReader(m)
		var back []byte
		for ; len(program) >= 2; program = program[2:] {
			before := r
			back = step(&r, program[0], int(program[1]), back)
			if before.Err() != nil && (r.Err() != before.Err() || r.Offset() != before.Offset()) {
				t.Fatal("a failed reader went on")
			}
			if !bytes.Equal(back, m[:r.Offset()]) {
				t.Fatalf("read %x of %x", back, m[:r.Offset()])
			}
			if left := len(m) - r.Offset(); r.Err() == nil && r.Len() != left {
				t.Fatalf("%d of %d left", r.Len(), left)
			}
		}
		whole := r.Err() == nil && r.Len() == 0
		if err := r.Done(); (err == nil) != whole {
			t.Fatalf("Done: %v", err)
		}
		if !bytes.Equal(m, original) {
			t.Fatal("the message changed")
		}
	})
}

// step reads one field and appends it to back unless that failed.
func step(r *wire.Reader, op byte, size int, back []byte) []byte {
	var b []byte
	switch op % 8 {
	case 0:
		b = []byte{r.Uint8()}
	case 1:
		b = binary.BigEndian.AppendUint16(nil, r.Uint16())
	case 2:
		b = binary.BigEndian.AppendUint32(nil, r.Uint32())
	case 3:
		b = binary.BigEndian.AppendUint64(nil, r.Uint64())
	case 4:
		b = append(r.Bytes(size), 'X') // must not reach the message
		b = b[:len(b)-1]
	case 5:
		b = make([]byte, size)
		r.Fill(b)
	case 6:
		s := r.ShortString()
		b, _ = wire.AppendShortString(nil, string(s))
	case 7:
		b = r.Rest()
	}
	if r.Err() != nil {
		return back
	}
	return append(back, b...)
}
