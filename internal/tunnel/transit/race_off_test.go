//go:build !race

package transit_test

// raced tells that the race detector watches.
const raced = false
