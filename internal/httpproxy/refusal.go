package httpproxy

import (
	"context"
	"errors"
	"html/template"
	"net"
	"net/http"

	"allium"
)

// refusal is an answer of the proxy itself.
type refusal struct {
	status      int
	title, text string
}

var page = template.Must(template.New("refusal").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head>
<body><h1>{{.Title}}</h1><p>{{.Text}}</p><hr><p>Allium HTTP proxy</p></body></html>
`))

// refuse answers with an error page.
func (p *Proxy) refuse(w http.ResponseWriter, r *refusal) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Connection", "close")
	w.WriteHeader(r.status)
	if err := page.Execute(w, struct{ Title, Text string }{r.title, r.text}); err != nil {
		p.log.Debug("error page cut", "err", err)
	}
}

// fail answers for a site that was not reached.
func (p *Proxy) fail(w http.ResponseWriter, err error) {
	p.log.Debug("request failed", "err", err)
	p.refuse(w, explain(err))
}

// explain maps an error to the status that scripts know from the Java
// router's proxy.
func explain(err error) *refusal {
	var slow net.Error
	switch {
	case errors.Is(err, allium.ErrNameUnknown):
		return &refusal{http.StatusBadGateway, "Unknown name",
			"No address book entry has this name. Its owner can tell you its .b32.i2p address, which works without one."}
	case errors.Is(err, allium.ErrNoLeaseSet):
		return &refusal{http.StatusGatewayTimeout, "Site not found",
			"The network knows no way to this site now: it is offline, or just starting. Try again in a minute."}
	case errors.Is(err, allium.ErrNotReady):
		return &refusal{http.StatusGatewayTimeout, "Not connected yet",
			"This router is still building its tunnels. Try again in some seconds."}
	case errors.Is(err, allium.ErrRefused):
		return &refusal{http.StatusForbidden, "Refused", "The site refused the connection."}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return &refusal{http.StatusGatewayTimeout, "No answer", "The site did not answer in time. Try again."}
	}
	return &refusal{http.StatusBadGateway, "Connection lost", "The connection to the site broke before it answered. Try again."}
}
