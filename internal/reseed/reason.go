package reseed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"

	"allium/internal/su3"
)

// Reason is why a source gave nothing, in a few words for people.
type Reason string

// The reasons.
const (
	NoName       Reason = "no such name"
	NoResolver   Reason = "no name server answers"
	Unreachable  Reason = "unreachable"
	Refused      Reason = "connection refused"
	Cut          Reason = "connection cut"
	Timeout      Reason = "timeout"
	TooSlow      Reason = "too slow"
	BadProxy     Reason = "proxy"
	NoTLS        Reason = "not HTTPS"
	Certificate  Reason = "certificate"
	WrongStatus  Reason = "refused by the server"
	Redirected   Reason = "redirected"
	TooLarge     Reason = "too large"
	NoBundle     Reason = "not a bundle"
	WrongSigner  Reason = "unknown signer"
	SignerOver   Reason = "signer expired"
	SignerEarly  Reason = "signer not valid yet"
	BadSignature Reason = "wrong signature"
	OldBundle    Reason = "old bundle"
	EarlyBundle  Reason = "bundle from the future"
	OtherNetwork Reason = "other network"
	OldRouters   Reason = "old routers"
	FewRouters   Reason = "too few routers"
	NoFile       Reason = "no such file"
	Other        Reason = "error"
)

// Errors of what a server sends.
var (
	// ErrStatus reports an answer other than 200.
	ErrStatus = errors.New("reseed: refused by the server")
	// ErrRedirect reports a server that points elsewhere.
	ErrRedirect = errors.New("reseed: redirected")
	// ErrTooLarge reports an answer that no bundle is.
	ErrTooLarge = errors.New("reseed: too large")
	// ErrSlow reports an answer that comes in drops.
	ErrSlow = errors.New("reseed: too slow")
	// ErrNoBundle reports an answer that is no signed bundle of routers.
	ErrNoBundle = errors.New("reseed: not a signed bundle")
	// ErrOld and ErrEarly report a bundle made too long ago, or later than
	// now.
	ErrOld   = errors.New("reseed: the bundle is too old")
	ErrEarly = errors.New("reseed: the bundle is from the future")
	// ErrProxy reports a proxy that refuses.
	ErrProxy = errors.New("reseed: refused by the proxy")
)

// fewError reports a bundle with too few routers that can be used.
type fewError struct {
	usable int
	why    Reason
}

func (e *fewError) Error() string {
	return fmt.Sprintf("reseed: only %d routers can be used (%s)", e.usable, e.why)
}

// reasons are told by errors.Is, the first that fits.
var reasons = []struct {
	is     error
	reason Reason
}{
	{ErrStatus, WrongStatus}, {ErrRedirect, Redirected}, {ErrTooLarge, TooLarge}, {ErrSlow, TooSlow},
	{ErrNoBundle, NoBundle}, {ErrOld, OldBundle}, {ErrEarly, EarlyBundle}, {ErrProxy, BadProxy},
	{su3.ErrFormat, NoBundle}, {su3.ErrBundle, NoBundle}, {su3.ErrLimit, TooLarge}, {su3.ErrNoTime, NoBundle},
	{su3.ErrUnknownSigner, WrongSigner}, {su3.ErrExpired, SignerOver},
	{su3.ErrNotYetValid, SignerEarly}, {su3.ErrSignature, BadSignature},
	{http.ErrSchemeMismatch, NoTLS},
	{fs.ErrNotExist, NoFile},
	{context.DeadlineExceeded, Timeout}, {os.ErrDeadlineExceeded, Timeout}, {syscall.ETIMEDOUT, Timeout},
	{syscall.ECONNREFUSED, Refused}, {syscall.ECONNRESET, Cut}, {syscall.EPIPE, Cut},
	{io.EOF, Cut}, {io.ErrUnexpectedEOF, Cut}, {io.ErrClosedPipe, Cut},
	{syscall.ENETUNREACH, Unreachable}, {syscall.EHOSTUNREACH, Unreachable}, {syscall.EADDRNOTAVAIL, Unreachable},
	// The same from Windows Sockets, which has numbers of its own.
	{syscall.Errno(10060), Timeout}, {syscall.Errno(10061), Refused}, {syscall.Errno(10053), Cut}, {syscall.Errno(10054), Cut},
	{syscall.Errno(10050), Unreachable}, {syscall.Errno(10051), Unreachable}, {syscall.Errno(10065), Unreachable},
	{syscall.ENETDOWN, Unreachable}, {syscall.ENODEV, Unreachable}, {syscall.EPERM, Unreachable}, {syscall.EACCES, Unreachable},
}

// reasonOf puts an error into words. What goes wrong with a proxy is said to
// be the proxy's doing.
func reasonOf(err error) Reason {
	if few, ok := errors.AsType[*fewError](err); ok {
		return few.why
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "proxyconnect" || op.Op == "socks connect") {
		return BadProxy
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !errors.Is(err, context.DeadlineExceeded) {
		if dns.IsNotFound {
			return NoName
		}
		return NoResolver
	}
	if isCertificate(err) {
		return Certificate
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return NoTLS
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return NoTLS
	}
	for _, r := range reasons {
		if errors.Is(err, r.is) {
			return r.reason
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return Timeout
	}
	return Other
}

func isCertificate(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return verification || authority || name || invalid
}

// isOffline tells failures that are likely to lie with this machine's own
// connection: nobody was reached, and nobody bothered.
func isOffline(err error) bool {
	if _, ok := errors.AsType[*unconnected](err); !ok {
		return false
	}
	switch reasonOf(err) {
	case NoName, NoResolver, Unreachable, Timeout, BadProxy:
		return true
	}
	return false
}
