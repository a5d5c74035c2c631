//go:build race

package datagram_test

const raceEnabled = true
