package httpproxy

import (
	"net/http"
	"strings"
)

// userAgent is the one that every I2P proxy sends, so that visitors look
// alike.
const userAgent = "MYOB/6.66 (AN/ON)"

// removed are request headers that tell about the client, its network or
// another proxy, and Expect, which the proxy's own server has answered. What
// belongs to the hop between browser and proxy is taken out by the forwarding
// itself.
var removed = []string{
	"Accept-Charset", "Accept-Language", "Dnt", "Sec-Gpc", "Save-Data", "Priority",
	"Forwarded", "From", "Via", "X-Real-Ip", "Te", "Expect",
}

// removedPrefixes are families of such headers.
var removedPrefixes = []string{"X-Forwarded-", "Proxy-", "Sec-Ch-"}

// scrub takes out of a request what a site need not know, and makes the rest
// look like everybody's.
func scrub(req *http.Request) {
	h := req.Header
	for _, name := range removed {
		h.Del(name)
	}
	for name := range h {
		for _, prefix := range removedPrefixes {
			if strings.HasPrefix(name, prefix) {
				delete(h, name)
			}
		}
	}
	if with := h.Get("X-Requested-With"); with != "" && !strings.HasSuffix(with, "HttpRequest") {
		h.Del("X-Requested-With") // the name of an app
	}
	if strings.HasPrefix(strings.ToLower(h.Get("Authorization")), "ntlm") {
		h.Del("Authorization") // it carries the name of the machine
	}
	scrubReferer(req)
	scrubAccept(h)
	if !isRadio(h) {
		h.Set("User-Agent", userAgent)
	}
}

// scrubReferer keeps a Referer only within one site, and without the name by
// which the site was visited.
func scrubReferer(req *http.Request) {
	referer := req.Referer()
	req.Header.Del("Referer")
	if referer == "" {
		return
	}
	from, err := req.URL.Parse(referer)
	if err != nil || from.Scheme != req.URL.Scheme || !strings.EqualFold(from.Host, req.URL.Host) {
		return
	}
	req.Header.Set("Referer", from.RequestURI())
}

// accepts are the lists that stand for those of all browsers, by the type
// that tells what is asked for: a page, a style sheet, an image.
var accepts = []struct{ sign, list string }{
	{"text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
	{"text/css", "text/css,*/*;q=0.1"},
	{"image/", "image/webp,image/apng,image/*,*/*;q=0.8"},
}

// scrubAccept replaces the lists of types and encodings, which differ from one
// browser to the next. A type that a script asks for stays.
func scrubAccept(h http.Header) {
	if accept := h.Get("Accept"); accept != "" {
		for _, a := range accepts {
			if strings.Contains(accept, a.sign) {
				accept = a.list
				break
			}
		}
		h.Set("Accept", accept)
	}
	if strings.Contains(h.Get("Accept-Encoding"), "gzip") {
		h.Set("Accept-Encoding", "gzip, deflate")
	} else {
		h.Del("Accept-Encoding")
	}
}

// isRadio tells a player of internet radio: such servers refuse unknown
// agents.
func isRadio(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "Icy-") {
			return true
		}
	}
	return false
}
