package portmap

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// callTimeout bounds one HTTP request to a gateway.
	callTimeout = 5 * time.Second
	// maxDocument is the longest answer in bytes.
	maxDocument = 256 << 10
	// maxFields is how many fields of an answer are kept.
	maxFields = 64
)

// fault is an answer of a gateway that says no. It is an ErrRefused.
type fault struct {
	code int
	text string
}

// Error tells the code and what the gateway says to it.
func (f *fault) Error() string { return fmt.Sprintf("%v: error %d %.80q", ErrRefused, f.code, f.text) }

// Unwrap makes it an ErrRefused.
func (f *fault) Unwrap() error { return ErrRefused }

// faultCode is the code of a fault, or 0.
func faultCode(err error) int {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.code
	}
	return 0
}

// dial connects, from wherever the router is bound to.
type dial = func(ctx context.Context, network, to string) (net.Conn, error)

// client makes requests of HTTP.
type client struct{ http http.Client }

// newClient makes one that connects by dial, straight and once for each
// request: gateways are small.
func newClient(d dial) *client {
	return &client{http.Client{
		Transport: &http.Transport{
			DialContext:            d,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       callTimeout,
	}}
}

// get reads a document.
func (c *client) get(ctx context.Context, from *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, err
	}
	status, b, err := c.do(req)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%w: HTTP status %d", ErrMalformed, status)
	}
	return b, err
}

func (c *client) do(req *http.Request) (status int, body []byte, err error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxDocument)
	}
	return resp.StatusCode, body, err
}

// argument is one of a call. Some gateways want them in the order of the
// specification.
type argument struct{ name, value string }

// call calls an action of a service (UPnP Device Architecture, section 3) and
// gives the fields of the answer.
func (c *client) call(ctx context.Context, s service, action string, arguments ...argument) (map[string]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.control.String(), bytes.NewReader(envelope(s.kind, action, arguments)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", `text/xml; charset="utf-8"`)
	// In these capitals, for those who compare letter by letter.
	req.Header["SOAPAction"] = []string{`"` + s.kind + "#" + action + `"`}
	status, b, err := c.do(req)
	if err != nil {
		return nil, err
	}
	fields, err := parseFields(b)
	switch {
	case status == http.StatusOK && err == nil:
		return fields, nil
	case fields["errorCode"] != "":
		code, _ := strconv.Atoi(fields["errorCode"]) // 0 is a code like others
		return nil, &fault{code, fields["errorDescription"]}
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("%w: HTTP status %d", ErrMalformed, status)
}

// envelope writes a call.
func envelope(kind, action string, arguments []argument) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0"?>` + "\r\n" +
		`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">` +
		`<s:Body><u:` + action + ` xmlns:u="` + kind + `">`)
	for _, a := range arguments {
		b.WriteString("<" + a.name + ">")
		_ = xml.EscapeText(&b, []byte(a.value)) // a Buffer takes everything
		b.WriteString("</" + a.name + ">")
	}
	b.WriteString(`</u:` + action + `></s:Body></s:Envelope>` + "\r\n")
	return b.Bytes()
}

// parseFields reads the text of every element that has one, by its name, the
// first of each.
func parseFields(b []byte) (map[string]string, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	fields := map[string]string{}
	name := ""
	elements := 0
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) && elements > 0 {
			return fields, nil
		}
		if err != nil {
			return fields, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			name = t.Name.Local
			elements++
		case xml.EndElement:
			name = ""
		case xml.CharData:
			text := strings.TrimSpace(string(t))
			if _, known := fields[name]; name != "" && text != "" && !known && len(fields) < maxFields {
				fields[name] = text
			}
		}
	}
}
