package testnet

import (
	"fmt"
	"html/template"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
)

// siteName is the name of the site in the address book of the visitor.
const siteName = "welcome.i2p"

// MaxBody is the longest body the site makes, in bytes.
const MaxBody = 10e9

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Welcome to a private I2P network</title></head>
<body><h1>It works</h1>
<p>This page came to you through tunnels of a private I2P network: the request by the outbound tunnel of the
visitor and the inbound tunnel of this site, the answer by two others. No router on the way knows both of you.</p>
<p>Your browser says it is <code>{{.}}</code>, as all visitors do.</p>
</body></html>
`))

// siteHandler serves the page, and bodies of any size to measure with.
func siteHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(w, req.UserAgent()); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	mux.HandleFunc("GET /bytes/{size}", func(w http.ResponseWriter, req *http.Request) {
		size, err := strconv.ParseInt(req.PathValue("size"), 10, 64)
		if err != nil || size < 0 || size > MaxBody {
			http.Error(w, fmt.Sprintf("a size from 0 to %d, please", int64(MaxBody)), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		if _, err := io.Copy(w, body(size)); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	return mux
}

// body is size bytes that do not compress, the same each time: what arrives
// can be compared with what was sent.
func body(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte([]byte("the body of a private I2P site :"))), size)
}
