package block_test

import (
	"testing"

	"allium/internal/i2np"
	"allium/internal/transport/block"

	"github.com/google/go-cmp/cmp"
)

func TestI2NPBlockHoldsAMessageWithShortHeader(t *testing.T) {
	b := block.AppendI2NP(nil, message)
	stands(t, b, "03000e"+"0a"+"00000007"+"6553f100"+"68656c6c6f")
	if len(b) != block.I2NPSize(message) {
		t.Errorf("%d bytes", len(b))
	}
	got, err := i2np.ParseShort(only(t, b, block.TypeI2NP))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(message, got); diff != "" {
		t.Error(diff)
	}
}

func TestMessageThatDoesNotFitIsNotAppended(t *testing.T) {
	m := i2np.Message{Body: make([]byte, block.MaxData-i2np.ShortHeaderSize)}
	only(t, block.AppendI2NP(nil, m), block.TypeI2NP)
	m.Body = make([]byte, len(m.Body)+1)
	if b := block.AppendI2NP(nil, m); len(b) != 0 {
		t.Errorf("%d bytes appended", len(b))
	}
}
