package reseed

import (
	"strings"

	"allium/internal/random"
)

// Server is a public reseed server.
type Server struct {
	URL    string // of the folder, with the slash at its end
	Signer string // who signs its bundles, as su3.ReseedSigners has it
}

// Servers are the reseed servers of the public network whose signers are
// built in. Two of one signer count once.
func Servers() []Server {
	return []Server{
		{"https://reseed.stormycloud.org/", "admin@stormycloud.org"},
		{"https://i2p.ghativega.in/", "arnavbhatt288@mail.i2p"},
		{"https://reseed-pl.i2pd.xyz/", "r4sas-reseed@mail.i2p"},
		{"https://reseed-fr.i2pd.xyz/", "r4sas-reseed@mail.i2p"},
		{"https://www2.mk16.de/", "i2p-reseed@mk16.de"},
		{"https://reseed2.i2p.net/", "echelon3@mail.i2p"},
		{"https://banana.incognet.io/", "rambler@mail.i2p"},
		{"https://coconut.incognet.io/", "rambler@mail.i2p"},
		{"https://reseed.diva.exchange/", "reseed@diva.exchange"},
		{"https://reseed.i2pgit.org/", "hankhill19580@gmail.com"},
		{"https://i2p.novg.net/", "igor@novg.net"},
		{"https://i2pseed.creativecowpat.net:8443/", "creativecowpat@mail.i2p"},
		{"https://reseed.onion.im/", "lazygravy@mail.i2p"},
	}
}

// bundleFile is what every server calls its bundle.
const bundleFile = "i2pseeds.su3"

// kind is what a source is.
type kind uint8

const (
	server kind = iota // a reseed server
	single             // an SU3 file somewhere on the net
	local              // a file or folder of this machine
)

// source is a place that routers may come from.
type source struct {
	kind  kind
	place string // URL or path, as people know it
	// signer is who is expected to sign, "" if that is not known.
	signer string
}

// sources are all there are: what the operator named first, then the servers,
// his own or the usual ones.
func (c *Config) sources(usual []Server) []source {
	var all []source
	switch {
	case c.File == "":
	case isHTTPS(c.File):
		all = append(all, source{kind: single, place: c.File})
	default:
		all = append(all, source{kind: local, place: c.File})
	}
	for _, u := range c.URLs {
		all = append(all, source{kind: server, place: u})
	}
	if len(c.URLs) > 0 {
		return all
	}
	for _, s := range usual {
		all = append(all, source{kind: server, place: s.URL, signer: s.Signer})
	}
	return all
}

// shuffled is the order of one pass: the operator's file, then the servers in
// random order.
func shuffled(all []source) []source {
	order := append([]source(nil), all...)
	first := 0
	for first < len(order) && order[first].kind != server {
		first++
	}
	servers := order[first:]
	random.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	return order
}

// slashed is the folder of a server.
func slashed(url string) string { return strings.TrimSuffix(url, "/") + "/" }
