// Package allium is an I2P router inside a Go program.
//
// I2P is an overlay in which nobody learns who talks to whom: services and
// their users are Destinations, known by keys, and their messages travel
// through tunnels of other people's routers. A [Router] joins that network. A
// [Session] is one Destination on it and hands out what package net does:
// connections, listeners and packet connections.
//
//	r, err := allium.Start(ctx, allium.Config{Dir: "/var/lib/app/i2p"})
//	s, err := r.Open(ctx, allium.SessionConfig{KeyFile: "site.dat"})
//	ln, err := s.Listen("i2p", ":80")
//	err = http.Serve(ln, handler)
//
// To visit others, give the session's DialContext to an http.Transport:
//
//	client := &http.Client{Transport: &http.Transport{DialContext: s.DialContext}}
//	resp, err := client.Get("http://stats.i2p/")
//
// Addresses are host:port. The host is a name of the router's address book, a
// .b32.i2p address, or a whole Destination in base64. A port tells services
// of one Destination apart; 0 takes what no other port takes.
//
// A router of the public network that knows nobody asks reseed servers for its
// first acquaintances, and time servers for the time, over the open Internet.
// Settings.Reseed and Settings.Time say which, or that it may not.
//
// Any number of routers and sessions can live in one process: they share
// nothing. Everything is closed by its Close, which returns within two
// seconds and leaves no goroutine behind.
package allium
