//go:build interop

package interop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var bulkSize = flag.Int64("bulk", 15_000_000, "bytes to send each way in the test of much data")

const (
	// bulkLimit is how long one transfer may take.
	bulkLimit = 5 * time.Minute
	// packetSize is more than a message of a stream carries, in bytes, and
	// ratchets how many messages must have been sent each way: i2pd begins a
	// new set of tags after 8192 messages, and we do after 4096.
	packetSize = 1730
	ratchets   = 8192
)

// bulk is a way to send much data through the network.
type bulk struct {
	name  string
	proxy string // "" for a client tunnel
	base  string
	site  router
}

// testBulk sends much data both ways between an i2pd and one of ours, over
// paths that are fixed: once an i2pd is the client, and once we are. Each
// client sends and receives over one connection, so in one session.
func testBulk(t *testing.T, n *testNet) {
	if messages := *bulkSize / packetSize; messages < ratchets {
		t.Fatalf("%d bytes are %d messages, and not more than %d", *bulkSize, messages, ratchets)
	}
	sites := n.sites(t, hosting+2, oursHosting+2)
	for _, b := range []bulk{
		{"ClientOfI2pd", "", fmt.Sprintf("http://127.0.0.1:%d", fixedPort), n.router(oursHosting + 2)},
		{"ClientOfOurs", httpProxy(oursNewcomer), sites[hosting+2], n.router(hosting + 2)},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			insist(b.proxy, b.base+"/", []byte(greeting(b.site.name())), tryLimit, pageLimit).check(t, "page")
			b.send(t)
		})
	}
}

// send gets and posts the data.
func (b *bulk) send(t *testing.T) {
	transport := &http.Transport{DisableCompression: true, MaxConnsPerHost: 1}
	if b.proxy != "" {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: b.proxy})
	}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	want := digest(b.site.name(), *bulkSize)
	for _, way := range []struct {
		name string
		do   func(c *http.Client) (string, error)
	}{{"received", b.get}, {"sent", b.post}} {
		begin := time.Now()
		got, err := way.do(c)
		took := time.Since(begin)
		if err == nil && got != want {
			err = errDamaged
		}
		if err != nil {
			t.Errorf("%s: after %v: %v", way.name, took, err)
			continue
		}
		t.Logf("%s: %d bytes in %v, %.2f MB/s", way.name, *bulkSize, took.Round(time.Millisecond), float64(*bulkSize)/1e6/took.Seconds())
	}
}

// get gives the hash of what it gets.
func (b *bulk) get(c *http.Client) (string, error) {
	h := sha256.New()
	err := exchange(c, http.MethodGet, fmt.Sprintf("%s/bulk/%d", b.base, *bulkSize), nil, h)
	return hex.EncodeToString(h.Sum(nil)), err
}

// post gives the hash of what the site has got.
func (b *bulk) post(c *http.Client) (string, error) {
	var answer strings.Builder
	err := exchange(c, http.MethodPost, b.base+"/bulk", io.LimitReader(stream(b.site.name()), *bulkSize), &answer)
	return answer.String(), err
}

// exchange makes one request with a body of bulkSize, if any.
func exchange(c *http.Client, method, page string, body io.Reader, to io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), bulkLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, page, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.ContentLength = *bulkSize
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		return fmt.Errorf("%s: %s", resp.Status, words(b))
	}
	_, err = io.Copy(to, resp.Body)
	return err
}
