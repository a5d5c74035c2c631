package httpproxy_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const alike = "MYOB/6.66 (AN/ON)"

// TestWhatASiteSees has a request header a row and all that is left of it.
func TestWhatASiteSees(t *testing.T) {
	seen := make(chan http.Header, 1)
	p := open(t, host(t, func(w http.ResponseWriter, req *http.Request) {
		h := req.Header.Clone()
		h.Set("Host", req.Host)
		seen <- h
		h = w.Header()
		h.Set("Proxy-Authenticate", "Basic")
		h.Set("Proxy-Connection", "close")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("X-Site", "yes")
		w.WriteHeader(http.StatusTeapot)
	}), patience)
	for _, c := range []struct {
		name, in string
		want     map[string]string
	}{
		{"nothing", "", nil},
		{"a whole browser", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
			"Accept-Language: fi-FI\r\nAccept-Charset: x\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nDNT: 1\r\nSec-GPC: 1\r\n" +
			"Proxy-Connection: keep-alive\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 300\r\n" +
			"Sec-CH-UA: Browser\r\nSec-CH-UA-Platform: Linux\r\nPriority: u=0, i\r\nSave-Data: on\r\nTE: trailers\r\n" +
			"Cookie: a=b\r\nIf-None-Match: x\r\nRange: bytes=0-\r\n",
			map[string]string{
				"Accept":          "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
				"Accept-Encoding": "gzip, deflate",
				"Cookie":          "a=b", "If-None-Match": "x", "Range": "bytes=0-",
			}},
		{"another proxy", "Via: 1.1 me\r\nForwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: h\r\n" +
			"X-Forwarded-Weird: h\r\nX-Real-IP: 192.0.2.1\r\nFrom: me@example.com\r\nProxy-Authorization: Basic x\r\nProxy-Foo: 1\r\n", nil},
		{"style", "Accept: text/css,*/*;q=0.2\r\n", map[string]string{"Accept": "text/css,*/*;q=0.1"}},
		{"image", "Accept: image/avif,image/png;q=0.1\r\n", map[string]string{"Accept": "image/webp,image/apng,image/*,*/*;q=0.8"}},
		{"script", "Accept: application/json\r\n", map[string]string{"Accept": "application/json"}},
		{"no gzip", "Accept-Encoding: br\r\n", nil},
		{"own referer", "Referer: http://site.i2p/from?q=1#x\r\n", map[string]string{"Referer": "/from?q=1"}},
		{"relative referer", "Referer: /from\r\n", map[string]string{"Referer": "/from"}},
		{"referer of another site", "Referer: http://other.i2p/secret\r\n", nil},
		{"referer of another port", "Referer: http://site.i2p:81/\r\n", nil},
		{"referer by TLS", "Referer: https://site.i2p/\r\n", nil},
		{"referer that is none", "Referer: http://[/\r\n", nil},
		{"a script's request", "X-Requested-With: XMLHttpRequest\r\n", map[string]string{"X-Requested-With": "XMLHttpRequest"}},
		{"an app's request", "X-Requested-With: org.example.app\r\n", nil},
		{"password", "Authorization: Basic eDp5\r\n", map[string]string{"Authorization": "Basic eDp5"}},
		{"machine's name", "Authorization: NTLM TlRM\r\n", nil},
		{"radio", "Icy-MetaData: 1\r\nUser-Agent: player\r\n", map[string]string{"Icy-Metadata": "1", "User-Agent": "player"}},
	} {
		_, r := raw(t, p, "GET http://site.i2p/ HTTP/1.1\r\nHost: misleading.i2p\r\n"+c.in+"\r\n")
		resp := answer(t, r, "GET")
		resp.Body.Close()
		if resp.StatusCode != http.StatusTeapot {
			t.Fatalf("%s: %s", c.name, resp.Status)
		}
		want := http.Header{"Host": {"site.i2p"}, "Connection": {"close"}, "User-Agent": {alike}}
		for name, value := range c.want {
			want.Set(name, value)
		}
		if d := cmp.Diff(want, <-seen); d != "" {
			t.Errorf("%s: want -, got +:\n%s", c.name, d)
		}
		resp.Header.Del("Date")
		if d := cmp.Diff(http.Header{"X-Site": {"yes"}, "Content-Length": {"0"}}, resp.Header); d != "" {
			t.Errorf("%s: the answer's header: want -, got +:\n%s", c.name, d)
		}
	}
}
