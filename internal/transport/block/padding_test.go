package block_test

import (
	"testing"

	"allium/internal/transport/block"
)

func TestPaddingIsZeroWhateverTheBufferHeld(t *testing.T) {
	stands(t, block.AppendPadding([]byte("junkjunk")[:0], 4), "fe0004"+"00000000")
	stands(t, block.AppendPadding(nil, 0), "fe0000")
}

func TestPaddingIsBounded(t *testing.T) {
	only(t, block.AppendPadding(nil, block.MaxData+1), block.TypePadding)
	only(t, block.AppendPadding(nil, -1), block.TypePadding)
}
