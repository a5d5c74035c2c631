package block_test

import (
	"errors"
	"testing"
	"time"

	"allium/internal/transport/block"
)

func TestOptionsStandAsSpecified(t *testing.T) {
	o := block.Options{
		SendMin: 1, SendMax: 2, ReceiveMin: 3, ReceiveMax: 4,
		SendDummy: 0x0506, ReceiveDummy: 0x0708,
		SendDelay: 0x090a * time.Millisecond, ReceiveDelay: 0x0b0c * time.Millisecond,
	}
	b := block.AppendOptions(nil, o)
	stands(t, b, "01000c"+"01020304"+"0506"+"0708"+"090a"+"0b0c")
	data := only(t, b, block.TypeOptions)
	got, err := block.ParseOptions(append(data, "more options"...))
	if err != nil || got != o {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := block.ParseOptions(data[:11]); !errors.Is(err, block.ErrMalformed) {
		t.Errorf("cut short: %v", err)
	}
}

func TestRatioIsInSixteenths(t *testing.T) {
	for r, want := range map[block.Ratio]int{0: 0, 0x01: 6, 0x10: 100, 0x80: 800} {
		if got := r.Of(100); got != want {
			t.Errorf("%#x of 100 is %d, not %d", uint8(r), got, want)
		}
	}
}
