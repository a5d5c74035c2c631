package reseed_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"allium/internal/reseed"
	"allium/internal/su3"
)

// These tests run on virtual time, which begins in the year 2000, and on
// connections in memory, which are all there are.

// authority vouches for the servers of these tests.
var authority = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, DNSNames: []string{"*.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// key is one of the signers' keys: one, two, three.
func key(t testing.TB, name string) *rsa.PrivateKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*rsa.PrivateKey)
}

// certificates have been made already: signing takes its time.
var certificates = map[string][]byte{}

// signerFile is the certificate of a signer, valid for so long.
func signerFile(t testing.TB, name string, valid time.Duration) string {
	t.Helper()
	until := time.Now().Add(valid).Truncate(time.Hour)
	made := name + until.String()
	text := certificates[made]
	if text == nil {
		var err error
		if text, err = su3.NewCertificate(name+"@test", key(t, name), time.Unix(0, 0), until); err != nil {
			t.Fatal(err)
		}
		certificates[made] = text
	}
	file := filepath.Join(t.TempDir(), name+".crt")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// routers are n files that a fakeRouter takes for what text says.
func routers(from, n int, text string) []su3.Entry {
	var all []su3.Entry
	for i := range n {
		i += from
		all = append(all, su3.Entry{Name: su3.EntryName([32]byte{byte(i), byte(i >> 8)}), Bytes: []byte(text)})
	}
	return all
}

// bundle is a signed bundle made so long ago.
func bundle(t testing.TB, signer string, age time.Duration, files []su3.Entry) []byte {
	t.Helper()
	made := time.Now().Add(-age)
	zip, err := su3.Pack(files, made)
	if err != nil {
		t.Fatal(err)
	}
	f := su3.File{
		FileType: su3.Zip, ContentType: su3.Reseed, Version: fmt.Sprint(made.Unix()), SignerID: signer + "@test", Content: zip,
	}
	b, err := su3.Sign(f, key(t, signer))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// serve is a handler that sends b.
func serve(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if req.URL.String() != "/i2pseeds.su3?netid=99" || req.UserAgent() != "Wget/1.11.4" || req.Method != http.MethodGet {
			http.Error(w, "not what a router asks", http.StatusTeapot)
			return
		}
		_, _ = w.Write(b)
	}
}

// fakeRouter is the router that is looked after. Files whose text is "good"
// are of use.
type fakeRouter struct {
	mu    sync.Mutex
	known reseed.Knowledge
	took  map[string]string // text by name
}

func (r *fakeRouter) Known() reseed.Knowledge {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known
}

func (r *fakeRouter) Take(files []su3.Entry) (done reseed.Taken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range files {
		switch text := string(f.Bytes); text {
		case "good":
			done.Usable++
			r.took[f.Name] = text
		default:
			done.Why = reseed.Reason(text)
		}
	}
	r.known.Routers, r.known.Newest = len(r.took), time.Now()
	return done
}

func (r *fakeRouter) set(k reseed.Knowledge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = k
}

func (r *fakeRouter) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.took)
}

// world is the servers there are, by host name.
type world struct {
	router *fakeRouter
	files  reseed.Config

	mu    sync.Mutex
	peers map[string]func(net.Conn)
	dials []dialled
	ended sync.WaitGroup
	end   []func()
}

type dialled struct {
	host string
	at   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{router: &fakeRouter{took: map[string]string{}}, peers: map[string]func(net.Conn){}}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority().Certificate[0]})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.files = reseed.Config{
		Enabled: true, Threshold: 50, Authorities: []string{ca},
		Signers: []string{signerFile(t, "one", time.Hour*24*365), signerFile(t, "two", time.Hour*24*365), signerFile(t, "three", -time.Hour)},
	}
	return w
}

// close ends all servers and waits for them.
func (w *world) close() {
	time.Sleep(2 * time.Minute) // handlers and half-open connections end
	for _, end := range w.end {
		end()
	}
	w.ended.Wait()
}

// raw makes a host that does with connections whatever f does.
func (w *world) raw(host string, f func(net.Conn)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers[host] = f
	w.files.URLs = append(w.files.URLs, "https://"+host+"/")
}

// serve makes a host that serves HTTPS.
func (w *world) serve(host string, h http.Handler) {
	w.serveAs(host, h, authority())
}

func (w *world) serveAs(host string, h http.Handler, as tls.Certificate) {
	ln := &memory{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{Handler: h, ErrorLog: log.New(new(bytes.Buffer), "", 0)}
	w.ended.Go(func() {
		_ = s.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{as}}))
	})
	w.end = append(w.end, func() { _ = s.Close() })
	w.raw(host, func(c net.Conn) { ln.conns <- c })
}

// dial is what net.Dialer.DialContext is elsewhere.
func (w *world) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.dials = append(w.dials, dialled{host, time.Now()})
	f := w.peers[host]
	w.mu.Unlock()
	switch {
	case host == "refuses.test":
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case host == "unresolved.test":
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "network is unreachable", Name: host, IsTemporary: true}}
	case host == "offline.test":
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	case host == "dead.test":
		<-ctx.Done() // nobody answers
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	case f == nil:
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	}
	near, far := net.Pipe()
	go f(buffer(far))
	return near, nil
}

// asked is how often a host was dialled.
func (w *world) asked(host string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.dials {
		if strings.HasPrefix(d.host, host) {
			n++
		}
	}
	return n
}

// wiring is that of a router of network 99.
func (w *world) wiring(dial reseed.Dial) reseed.Wiring {
	return reseed.Wiring{NetID: 99, Router: w.router, Dial: dial, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

// reseeder makes the Reseeder of a router of network 99.
func (w *world) reseeder(t *testing.T) *reseed.Reseeder {
	t.Helper()
	r, err := reseed.New(w.files, w.wiring(w.dial))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// buffered is a connection that takes some writes before the peer reads, as
// those of the system do.
type buffered struct {
	net.Conn
	writes chan []byte
	once   sync.Once
	closed chan struct{}
}

func buffer(c net.Conn) *buffered {
	b := &buffered{Conn: c, writes: make(chan []byte, 8), closed: make(chan struct{})}
	go func() {
		defer c.Close()
		for {
			select {
			case p := <-b.writes:
				if _, err := c.Write(p); err != nil {
					_ = b.Close()
					return
				}
			case <-b.closed:
				if len(b.writes) == 0 {
					return
				}
			}
		}
	}()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	select {
	case <-b.closed:
		return 0, net.ErrClosed
	case b.writes <- bytes.Clone(p):
		return len(p), nil
	}
}

// SetWriteDeadline does nothing: a TLS connection being closed ends all writes
// under way with it.
func (b *buffered) SetWriteDeadline(time.Time) error { return nil }

func (b *buffered) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// memory is a listener for connections in memory.
type memory struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.done) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.TCPAddr{} }
