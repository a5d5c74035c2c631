package testnet

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Figures are what a network has shown.
type Figures struct {
	// ReadyS is how long it took until site and visitor were ready, and
	// FirstPageS until the first page had arrived, in seconds from the start.
	ReadyS     float64 `json:"ready_s"`
	FirstPageS float64 `json:"first_page_s"`
	// P50ms is the median time to fetch the page again, in milliseconds.
	P50ms float64 `json:"p50_ms"`
	// MBperS is the speed of the large body, in millions of bytes per second;
	// 0 if none was asked for.
	MBperS float64 `json:"mb_per_s"`
	// BuildSuccess is the share of tunnel builds that succeeded.
	BuildSuccess float64 `json:"build_success"`
}

// ErrBody reports a body that did not arrive as it was sent.
var ErrBody = errors.New("testnet: body damaged")

const (
	// pages is how many times the page is fetched for the median.
	pages = 20
	// readyWait bounds the forming of the network, and firstPageWait how long
	// the first page is asked for again.
	readyWait     = 3 * time.Minute
	firstPageWait = 60 * time.Second
	retryPause    = 250 * time.Millisecond
	// pageWait bounds the other pages, and slowest is the speed in bytes per
	// second that a body must have beyond that.
	pageWait = 60 * time.Second
	slowest  = 50_000
)

// Measure waits until the network is ready, fetches the page through the
// proxy and, unless size is 0, a body of so many bytes, at most MaxBody, whose
// hash it checks. It gives up what takes too long.
func (n *Network) Measure(ctx context.Context, size int64) (Figures, error) {
	var f Figures
	if err := n.formed(ctx); err != nil {
		return f, err
	}
	f.ReadyS = time.Since(n.began).Seconds()
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(n.ProxyURL()), DisableKeepAlives: true}}
	if err := n.firstPage(ctx, client); err != nil {
		return f, err
	}
	f.FirstPageS = time.Since(n.began).Seconds()
	n.say("first page")
	var times []time.Duration
	for range pages {
		begin := time.Now()
		if err := n.fetchPage(ctx, client); err != nil {
			return f, err
		}
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	f.P50ms = float64(times[len(times)/2]) / float64(time.Millisecond)
	if size > 0 {
		took, err := n.fetchBody(ctx, client, size)
		if err != nil {
			return f, err
		}
		f.MBperS = float64(size) / 1e6 / took.Seconds()
	}
	f.BuildSuccess = n.Builds().Success
	return f, nil
}

// formed waits until the network is ready, but not for ever.
func (n *Network) formed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	return n.Ready(ctx)
}

// firstPage asks for the page until it comes: what was published a moment ago
// may not be everywhere yet.
func (n *Network) firstPage(ctx context.Context, client *http.Client) error {
	giveUp := time.Now().Add(firstPageWait)
	for {
		err := n.fetchPage(ctx, client)
		if err == nil || time.Now().After(giveUp) {
			return err
		}
		n.say("no page yet: %v", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryPause):
		}
	}
}

// fetchPage fetches the page by its name.
func (n *Network) fetchPage(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	resp, err := get(ctx, client, "http://"+siteName+"/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), "It works") {
		return fmt.Errorf("%w: another page", ErrBody)
	}
	return nil
}

// fetchBody fetches a large body by the site's address.
func (n *Network) fetchBody(ctx context.Context, client *http.Client, size int64) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, pageWait+time.Duration(size/slowest)*time.Second)
	defer cancel()
	begin := time.Now()
	resp, err := get(ctx, client, fmt.Sprintf("http://%s/bytes/%d", n.SiteHost(), size))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	got := sha256.New()
	arrived, err := io.Copy(got, resp.Body)
	if err != nil {
		return 0, err
	}
	took := time.Since(begin)
	sent := sha256.New()
	if _, err := io.Copy(sent, body(size)); err != nil {
		return 0, err
	}
	if arrived != size || string(got.Sum(nil)) != string(sent.Sum(nil)) {
		return 0, fmt.Errorf("%w: %d of %d bytes", ErrBody, arrived, size)
	}
	n.say("%d bytes in %.1f s, hash equal", size, took.Seconds())
	return took, nil
}

// get asks for something that must be there.
func get(ctx context.Context, client *http.Client, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.Join(fmt.Errorf("testnet: the proxy answered %s", resp.Status), resp.Body.Close())
	}
	return resp, err
}
