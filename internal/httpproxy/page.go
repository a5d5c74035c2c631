package httpproxy

import (
	"html/template"
	"net/http"
)

var page = template.Must(template.New("refusal").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head>
<body><h1>{{.Title}}</h1><p>{{.Text}}</p><hr><p>Allium HTTP proxy</p></body></html>
`))

// refuse answers with an error page of the proxy itself.
func (p *Proxy) refuse(w http.ResponseWriter, status int, title, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Connection", "close")
	w.WriteHeader(status)
	if err := page.Execute(w, struct{ Title, Text string }{title, text}); err != nil {
		p.log.Debug("error page cut", "err", err)
	}
}
