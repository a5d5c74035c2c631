package setting

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is an amount of memory or disk in bytes. As text it is a number with a
// unit, "20 MB", "1.5GiB", or bytes alone: KB, MB, GB and TB are powers of
// 1000; KiB, MiB, GiB and TiB are powers of 1024; capitals do not matter.
type Size int64

// Bandwidth is a rate in bytes per second. As text it is a number with a
// unit, "2 MB/s", "16 Mbit/s", or a bare number of KB/s; a KB is 1000 bytes, a
// KiB 1024.
type Bandwidth int64

// unit is the name of a multiple.
type unit struct {
	name   string
	amount int64
}

// sizeUnits are the units of a Size.
var sizeUnits = []unit{
	{"B", 1}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
}

// bandwidthUnits are the units of a Bandwidth; first those to write, then
// those that are only read.
var bandwidthUnits = []unit{
	{"B/s", 1}, {"KB/s", 1e3}, {"MB/s", 1e6}, {"GB/s", 1e9},
	{"KiB/s", 1 << 10}, {"MiB/s", 1 << 20}, {"GiB/s", 1 << 30},
	{"kbit/s", 1e3 / 8}, {"Mbit/s", 1e6 / 8}, {"Gbit/s", 1e9 / 8},
}

// bandwidthWritten is how many of bandwidthUnits are written.
const bandwidthWritten = 7

// String writes the size as the shortest whole number and its unit.
func (s Size) String() string {
	return formatQuantity(int64(s), sizeUnits)
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) {
	return []byte(s.String()), nil
}

// UnmarshalText reads what String writes, and the other forms of a Size.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := parseQuantity(string(text), sizeUnits, 1, strings.EqualFold)
	if err == nil {
		*s = Size(n)
	}
	return err
}

// String writes the rate as the shortest whole number and its unit.
func (b Bandwidth) String() string {
	return formatQuantity(int64(b), bandwidthUnits[:bandwidthWritten])
}

// MarshalText is String.
func (b Bandwidth) MarshalText() ([]byte, error) {
	return []byte(b.String()), nil
}

// UnmarshalText reads what String writes, and the other forms of a Bandwidth.
// Its units are spelled with care, for "Mb/s" would mean bits to some and
// bytes to others.
func (b *Bandwidth) UnmarshalText(text []byte) error {
	same := func(a, b string) bool { return a == b || a == "kB/s" && b == "KB/s" }
	n, err := parseQuantity(string(text), bandwidthUnits, 1e3, same)
	if err == nil {
		*b = Bandwidth(n)
	}
	return err
}

// parseQuantity reads a number that is not negative and its unit; a number
// without one counts bare.
func parseQuantity(text string, units []unit, bare int64, same func(a, b string) bool) (int64, error) {
	digits := strings.TrimRight(text, "BKMGTbkmgtiIs/")
	name := text[len(digits):]
	amount := bare
	if name != "" {
		amount = 0
		for _, u := range units {
			if same(name, u.name) {
				amount = u.amount
				break
			}
		}
		if amount == 0 {
			return 0, fmt.Errorf("setting: unknown unit %q", name)
		}
	}
	return multiply(strings.TrimRight(digits, " "), amount)
}

// multiply reads a decimal number, which may have a fraction, and multiplies
// it, rounding to the nearest whole number.
func multiply(digits string, amount int64) (int64, error) {
	if digits == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, fmt.Errorf("setting: %q is not a number", digits)
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		if n > math.MaxInt64/amount {
			return 0, strconv.ErrRange
		}
		return n * amount, nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, err
	}
	f = math.Round(f * float64(amount))
	if f >= math.MaxInt64 {
		return 0, strconv.ErrRange
	}
	return int64(f), nil
}

// formatQuantity writes n in the unit that makes it the shortest whole number;
// of two such units the first one, which is a power of 1000.
func formatQuantity(n int64, units []unit) string {
	if n == 0 {
		return "0"
	}
	shortest, name := strconv.FormatInt(n, 10), units[0].name
	for _, u := range units[1:] {
		if n%u.amount != 0 {
			continue
		}
		if digits := strconv.FormatInt(n/u.amount, 10); len(digits) < len(shortest) {
			shortest, name = digits, u.name
		}
	}
	return shortest + " " + name
}

// day is the unit that time.ParseDuration lacks.
const day = 24 * time.Hour

// parseDuration is time.ParseDuration, and whole days: "30d".
func parseDuration(text string) (time.Duration, error) {
	if digits, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || time.Duration(n).Abs() > math.MaxInt64/day {
			return 0, strconv.ErrSyntax
		}
		return time.Duration(n) * day, nil
	}
	return time.ParseDuration(text)
}

// formatDuration writes what parseDuration reads, without the zero minutes
// and seconds of time.Duration.String.
func formatDuration(d time.Duration) string {
	if d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
