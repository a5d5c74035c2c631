//go:build race

package transit_test

// raced tells that the race detector watches. It makes the system's random
// numbers allocate.
const raced = true
