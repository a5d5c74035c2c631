// Package naming turns host names into Destinations.
//
// A [Book] holds three lists: names that the user keeps to himself, names that
// the user has added, and names out of subscribed hosts.txt files
// ([ParseHosts]). The user's own lists come first, and a subscription never
// replaces a name that is there, so nobody can take over a name by publishing
// it.
//
// Which names there can be is said by [Normalize]. Names that hold their
// answer themselves, under b32.i2p, are none of them; package data reads those.
package naming

import "errors"

var (
	// ErrName reports a name that is no host name of I2P.
	ErrName = errors.New("naming: not a host name")
	// ErrTaken reports a name that the list has with another Destination.
	ErrTaken = errors.New("naming: name is taken")
	// ErrFull reports a list that has as many names as it may.
	ErrFull = errors.New("naming: too many names")
	// ErrLine reports a line of a hosts.txt file that is no entry.
	ErrLine = errors.New("naming: malformed line")
)
