package block_test

import (
	"errors"
	"testing"

	"allium/internal/transport/block"
)

func TestTerminationStandsAsSpecifiedInBothTransports(t *testing.T) {
	e := block.Termination{Received: 0x0102030405060708, Reason: block.Banned}
	for typ, want := range map[block.Type]string{
		block.TypeTerminationNTCP2: "040009" + "0102030405060708" + "11",
		block.TypeTerminationSSU2:  "060009" + "0102030405060708" + "11",
	} {
		b := block.AppendTermination(nil, typ, e)
		stands(t, b, want)
		if len(b) != block.TerminationSize {
			t.Errorf("%d bytes", len(b))
		}
		data := only(t, b, typ)
		got, err := block.ParseTermination(append(data, "why"...))
		if err != nil || got != e {
			t.Errorf("%v, %v", got, err)
		}
		if _, err := block.ParseTermination(data[:8]); !errors.Is(err, block.ErrMalformed) {
			t.Errorf("cut short: %v", err)
		}
	}
}

func TestReasonsHaveTheNumbersOfTheSpecification(t *testing.T) {
	for r, want := range map[block.Reason]struct {
		number uint8
		text   string
	}{
		block.Unspecified:           {0, "unspecified"},
		block.ClockSkew:             {7, "clock skew"},
		block.BadStaticKey:          {16, "static key missing or mismatched"},
		block.Banned:                {17, "banned"},
		block.BadToken:              {18, "bad token"},
		block.Replaced:              {22, "replaced by a new session"},
		block.Reason(23):            {23, "reason 23"},
		block.FrameTimeout:          {14, "read timeout within a frame"},
		block.RouterShutdown:        {3, "router shutdown"},
		block.WrongNetworkID:        {21, "wrong network ID"},
		block.PayloadError:          {10, "payload format error"},
		block.AEADFailure:           {4, "data phase AEAD failure"},
		block.SessionConfirmedError: {13, "session confirmed error"},
	} {
		if uint8(r) != want.number || r.String() != want.text {
			t.Errorf("%d %q is not %d %q", r, r, want.number, want.text)
		}
	}
}
