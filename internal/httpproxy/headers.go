package httpproxy

import (
	"net/http"
	"strings"
)

// userAgent is the one that every I2P proxy sends, so that visitors look
// alike.
const userAgent = "MYOB/6.66 (AN/ON)"

// removed are request headers that tell about the client, its network or
// another proxy. What belongs to the hop between browser and proxy is taken
// out by the forwarding itself.
var removed = []string{"Accept-Charset", "Accept-Language", "Dnt", "Sec-Gpc", "Forwarded", "From", "Via"}

// removedPrefixes are families of such headers.
var removedPrefixes = []string{"X-Forwarded-", "Proxy-", "Sec-Ch-", "X-Real-"}

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
				h.Del(name)
			}
		}
	}
	if with := h.Get("X-Requested-With"); with != "" && !strings.HasSuffix(with, "HttpRequest") {
		h.Del("X-Requested-With")
	}
	if strings.HasPrefix(strings.ToLower(h.Get("Authorization")), "ntlm") {
		h.Del("Authorization") // it carries the name of the machine
	}
	scrubReferer(req)
	h.Set("Accept", "*/*")
	h.Set("Accept-Encoding", "identity")
	if !isRadio(h) {
		h.Set("User-Agent", userAgent)
	}
}

// scrubReferer keeps a Referer only within one site.
func scrubReferer(req *http.Request) {
	from, err := req.URL.Parse(req.Referer())
	if err != nil || !strings.EqualFold(from.Hostname(), req.URL.Hostname()) {
		req.Header.Del("Referer")
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
