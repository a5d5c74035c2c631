package block

import "strconv"

// Reason is why a session ends.
type Reason uint8

// The reasons of both transports.
const (
	Unspecified            Reason = 0 // a normal close
	TerminationReceived    Reason = 1 // the answer to a Termination
	IdleTimeout            Reason = 2
	RouterShutdown         Reason = 3
	AEADFailure            Reason = 4
	IncompatibleOptions    Reason = 5
	IncompatibleSignature  Reason = 6 // not supported
	ClockSkew              Reason = 7
	PaddingViolation       Reason = 8
	FramingError           Reason = 9
	PayloadError           Reason = 10
	SessionRequestError    Reason = 11 // message 1 is bad
	SessionCreatedError    Reason = 12 // message 2 is bad
	SessionConfirmedError  Reason = 13 // message 3 is bad
	FrameTimeout           Reason = 14 // within a frame
	BadRouterInfoSignature Reason = 15
	BadStaticKey           Reason = 16 // missing in the RouterInfo, invalid or another
	Banned                 Reason = 17
)

// The reasons only SSU2 has.
const (
	BadToken            Reason = 18
	ConnectionLimits    Reason = 19
	IncompatibleVersion Reason = 20 // not supported
	WrongNetworkID      Reason = 21 // of another network
	Replaced            Reason = 22 // by a new session
)

// String describes the reason in a few words.
func (r Reason) String() string {
	switch r {
	case Unspecified:
		return "unspecified"
	case TerminationReceived:
		return "termination received"
	case IdleTimeout:
		return "idle timeout"
	case RouterShutdown:
		return "router shutdown"
	case AEADFailure:
		return "data phase AEAD failure"
	case IncompatibleOptions:
		return "incompatible options"
	case IncompatibleSignature:
		return "incompatible signature type"
	case ClockSkew:
		return "clock skew"
	case PaddingViolation:
		return "padding violation"
	case FramingError:
		return "AEAD framing error"
	case PayloadError:
		return "payload format error"
	case SessionRequestError:
		return "session request error"
	case SessionCreatedError:
		return "session created error"
	case SessionConfirmedError:
		return "session confirmed error"
	case FrameTimeout:
		return "read timeout within a frame"
	case BadRouterInfoSignature:
		return "bad RouterInfo signature"
	case BadStaticKey:
		return "static key missing or mismatched"
	case Banned:
		return "banned"
	}
	return r.ssu2String()
}

func (r Reason) ssu2String() string {
	switch r {
	case BadToken:
		return "bad token"
	case ConnectionLimits:
		return "connection limits"
	case IncompatibleVersion:
		return "incompatible version"
	case WrongNetworkID:
		return "wrong network ID"
	case Replaced:
		return "replaced by a new session"
	}
	return "reason " + strconv.Itoa(int(r))
}
