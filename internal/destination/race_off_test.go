//go:build !race

package destination_test

// raceDetector makes everything slow and allocates by itself.
const raceDetector = false
