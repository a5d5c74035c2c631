package block_test

import (
	"errors"
	"testing"

	"allium/internal/transport/block"
)

func TestRouterInfoStandsAsSpecified(t *testing.T) {
	for flood, want := range map[bool]string{
		false: "02000600" + "68656c6c6f",
		true:  "02000601" + "68656c6c6f",
	} {
		b := block.AppendRouterInfo(nil, []byte("hello"), flood)
		stands(t, b, want)
		if len(b) != block.RouterInfoSize([]byte("hello")) {
			t.Errorf("%d bytes", len(b))
		}
		ri, asked, err := block.ParseRouterInfo(only(t, b, block.TypeRouterInfo))
		if err != nil || string(ri) != "hello" || asked != flood {
			t.Errorf("%q, flood %v, %v", ri, asked, err)
		}
	}
}

func TestRouterInfoBlockWithoutRouterInfoIsRefused(t *testing.T) {
	for _, n := range []int{0, 1} {
		if _, _, err := block.ParseRouterInfo(make([]byte, n)); !errors.Is(err, block.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestRouterInfoThatDoesNotFitIsNotAppended(t *testing.T) {
	only(t, block.AppendRouterInfo(nil, make([]byte, block.MaxData-1), false), block.TypeRouterInfo)
	if b := block.AppendRouterInfo(nil, make([]byte, block.MaxData), false); len(b) != 0 {
		t.Errorf("%d bytes appended", len(b))
	}
}
