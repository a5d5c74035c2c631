//go:build !race

package tunnel_test

// raced tells that the race detector watches.
const raced = false
