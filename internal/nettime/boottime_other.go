//go:build !linux

package nettime

import "time"

// sinceBoot is not known here.
func sinceBoot() time.Duration { return -1 }
