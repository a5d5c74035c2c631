package nettime

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is the time since the machine was started, with sleep.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return -1
	}
	return time.Duration(ts.Nano())
}
