package data

// ParseVersion reads a router.version of three numbers below 100 as one
// number that compares: 0.9.67 is 967. It is not ok with anything else.
func ParseVersion(s string) (version int, ok bool) {
	part, digits, dots := 0, 0, 0
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9' && digits < 2:
			part, digits = part*10+int(c-'0'), digits+1
		case c == '.' && digits > 0 && dots < 2:
			version, part, digits, dots = (version+part)*100, 0, 0, dots+1
		default:
			return 0, false
		}
	}
	if dots != 2 || digits == 0 {
		return 0, false
	}
	return version + part, true
}
