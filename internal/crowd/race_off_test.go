//go:build !race

package crowd_test

// racing tells that the race detector is on.
const racing = false
