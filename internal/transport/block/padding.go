package block

import "slices"

// AppendPadding appends a Padding block, which must be the last, with n bytes
// of padding, at most MaxData. They are zero: nobody sees them before they are
// encrypted.
func AppendPadding(b []byte, n int) []byte {
	n = min(max(n, 0), MaxData)
	b = appendHeader(b, TypePadding, n)
	start := len(b)
	b = slices.Grow(b, n)[:start+n]
	clear(b[start:])
	return b
}
