package reseed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"allium/internal/su3"
)

const (
	// userAgent is what all routers say: servers serve no other.
	userAgent = "Wget/1.11.4"
	// maxFile is the longest SU3 file: a bundle and what is around it.
	maxFile = su3.MaxBundle + 2<<10
	// answerWithin is how long connecting and the head of the answer may take,
	// each, and fetchWithin all of it.
	answerWithin = 20 * time.Second
	fetchWithin  = time.Minute
	// progressEvery is how often leastProgress bytes must have arrived. A
	// bundle of usual size over the slowest of lines takes half of fetchWithin.
	progressEvery = 10 * time.Second
	leastProgress = 4 << 10
)

// client fetches files by HTTPS.
type client struct {
	http *http.Client
}

// newClient makes a client that connects with dial, to the proxy if there is
// one, and trusts roots, nil for the system's.
func newClient(dial Dial, proxy *url.URL, roots *x509.CertPool, now func() time.Time) *client {
	t := &http.Transport{
		DialContext:            bounded(dial),
		TLSClientConfig:        &tls.Config{RootCAs: roots, Time: now, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    answerWithin,
		ResponseHeaderTimeout:  answerWithin,
		MaxResponseHeaderBytes: 16 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return fmt.Errorf("%w: %s", ErrProxy, answer.Status)
			}
			return nil
		},
	}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	return &client{&http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// bounded bounds how long connecting may take, and marks its failures.
func bounded(dial Dial) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, &unconnected{err}
		}
		return c, nil
	}
}

// unconnected is a failure to connect to anybody.
type unconnected struct{ error }

func (u *unconnected) Unwrap() error { return u.error }

// get fetches the file at an https URL.
func (c *client) get(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent)
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return nil, fmt.Errorf("%w: %s", ErrRedirect, answer.Status)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: %s", ErrStatus, answer.Status)
	case answer.ContentLength > maxFile:
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, answer.ContentLength)
	}
	return readSteadily(answer.Body, cancel)
}

// bare takes the URL off an error: it stands beside it anyway.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// readSteadily reads all of a body that may be a bundle, as long as it keeps
// coming. cancel ends a Read that waits.
func readSteadily(body io.Reader, cancel func()) ([]byte, error) {
	progress := newWatch(cancel)
	defer progress.stop()
	var b []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := body.Read(buf)
		b = append(b, buf[:n]...)
		progress.add(n)
		switch {
		case len(b) > maxFile:
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxFile)
		case progress.tooSlow():
			return nil, fmt.Errorf("%w: %d bytes so far", ErrSlow, len(b))
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		}
	}
}
