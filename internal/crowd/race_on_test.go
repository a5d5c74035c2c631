//go:build race

package crowd_test

// racing tells that the race detector is on. It would find nothing here, as a
// world is one goroutine, and takes ten times as long.
const racing = true
