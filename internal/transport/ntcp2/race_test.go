//go:build race

package ntcp2_test

const raceDetector = true
