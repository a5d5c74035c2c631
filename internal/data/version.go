package data

import (
	"strconv"
	"strings"
)

// ParseVersion reads a router.version of three numbers below 100 as one
// number that compares: 0.9.67 is 967. It is not ok with anything else.
func ParseVersion(s string) (version int, ok bool) {
	n := 0
	for part := range strings.SplitSeq(s, ".") {
		v, err := strconv.ParseUint(part, 10, 8)
		if n++; err != nil || v > 99 || len(part) > 2 || n > 3 {
			return 0, false
		}
		version = version*100 + int(v)
	}
	return version, n == 3
}
