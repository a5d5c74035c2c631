package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"allium"
	"allium/internal/reseed"
	"allium/internal/store"
	"allium/internal/su3"
)

const (
	// takeAway is how many routers a bundle to take away has at most. With
	// fewer than fair it is poor, with fewer than least of no use, unless it is
	// for a private network.
	takeAway = 150
	fair     = 75
	least    = 50
	// reseedKeyFile is where the key is within the router's directory.
	reseedKeyFile = "reseed-key.pem"
)

// exportCommand is `allium reseed export`.
type exportCommand struct {
	Dir    string `default:"${dir}" type:"existingdir" placeholder:"DIR" help:"Directory of the router, which must not be running. (${dir})"`
	Config string `type:"path" placeholder:"FILE" help:"The router's settings file: it says which network is meant."`
	Out    string `required:"" type:"path" placeholder:"FILE.su3" help:"The bundle to write. The certificate to verify it with is put beside it, as FILE.crt."`
	Key    string `type:"path" placeholder:"FILE" help:"Key to sign with; made if needed. Without one, it is reseed-key.pem in the router's directory."`
	Signer string `placeholder:"NAME" help:"Who signs, for a new key: a name like a mail address. Without one it is random."`
}

// Run implements the command.
func (c *exportCommand) Run(s *streams) error {
	cfg, err := loadConfig(c.Config, s)
	if err != nil {
		return err
	}
	found, err := allium.Export(c.Dir, cfg.Router, takeAway)
	if err != nil {
		return offlineError(err)
	}
	var files []su3.Entry
	for name, b := range found {
		files = append(files, su3.Entry{Name: name, Bytes: b})
	}
	switch n := len(files); {
	case n == 0 || n < least && !cfg.Router.Private:
		return usage("the router knows %d others that are reachable and current; a bundle needs %d. Let it run for some hours first", n, least)
	case n < fair && !cfg.Router.Private:
		fmt.Fprintf(s.err, "only %d routers are reachable and current; let it run for some hours for a better bundle\n", n)
	}
	certificate := strings.TrimSuffix(c.Out, filepath.Ext(c.Out)) + ".crt"
	key, err := c.write(s, files, certificate)
	if err != nil {
		return startError(err)
	}
	c.explain(s, len(files), key.ID, certificate)
	return nil
}

// write writes the bundle and the certificate.
func (c *exportCommand) write(s *streams, files []su3.Entry, certificate string) (*reseed.Key, error) {
	file := c.Key
	if file == "" {
		file = filepath.Join(c.Dir, reseedKeyFile)
	}
	if _, err := os.Stat(file); err != nil {
		fmt.Fprintf(s.err, "making a key in %s, which takes some seconds\n", file)
	}
	now := time.Now()
	key, err := reseed.LoadKey(file, c.Signer, now)
	if err != nil {
		return nil, err
	}
	bundle, err := key.Sign(files, now)
	if err != nil {
		return nil, err
	}
	if err := store.WriteFile(c.Out, bundle); err != nil {
		return nil, err
	}
	return key, store.WriteFile(certificate, key.Certificate)
}

// explain tells what to do with the files.
func (c *exportCommand) explain(s *streams, routers int, signer, certificate string) {
	fmt.Fprintf(s.out, `%[1]s: %[2]d routers, signed by %[3]s
%[4]s: the certificate to verify it with

Give both to your friend, the certificate best by another way, so that nobody
changes both. Your friend then types

  allium reseed fetch --dir DIR --from %[5]s --signer-cert %[6]s

within half a day: what is known of routers does not last longer.
`, c.Out, routers, signer, certificate, filepath.Base(c.Out), filepath.Base(certificate))
}

// serveCommand is `allium reseed serve`.
type serveCommand struct {
	Dir        string `default:"${dir}" type:"path" placeholder:"DIR" help:"Directory of the router. Made if needed. (${dir})"`
	Config     string `type:"path" placeholder:"FILE" help:"Settings file; those of the server are in its table [reseed_server]."`
	Listen     string `placeholder:"ADDRESS:PORT" help:"Address to listen on."`
	TLSCert    string `name:"tls-cert" type:"path" placeholder:"FILE" xor:"certificate" help:"Certificate for HTTPS and those that vouch for it, in PEM."`
	TLSKey     string `name:"tls-key" type:"path" placeholder:"FILE" help:"Key of that certificate."`
	SelfSigned string `placeholder:"HOST" xor:"certificate" help:"Make a certificate for that name or address instead, which clients have to be given."`
	Signer     string `placeholder:"NAME" help:"Who signs the bundles, for a new key: a name like a mail address."`
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, s *streams) error {
	cfg, err := loadConfig(c.Config, s)
	if err != nil {
		return err
	}
	rs := &cfg.ReseedServer
	rs.Enabled = true
	if c.Listen != "" {
		if rs.Listen, err = netip.ParseAddrPort(c.Listen); err != nil {
			return usage("--listen: %q is not address:port", c.Listen)
		}
	}
	if c.TLSCert != "" || c.TLSKey != "" {
		rs.TLSCert, rs.TLSKey = c.TLSCert, c.TLSKey
	}
	if c.SelfSigned != "" {
		rs.Host, rs.TLSCert, rs.TLSKey = c.SelfSigned, "", ""
	}
	if c.Signer != "" {
		rs.Signer = c.Signer
	}
	if err := cfg.Check(); err != nil {
		return usageError{err}
	}
	return serve(ctx, c.Dir, cfg, s)
}
