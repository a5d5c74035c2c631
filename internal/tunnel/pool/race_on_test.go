//go:build race

package pool_test

// raced tells that the race detector watches. It makes the system's random
// numbers allocate.
const raced = true
