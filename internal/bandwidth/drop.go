package bandwidth

// EarlyDrop is the probability, 0 to 1, with which a message is better dropped
// than added to something that is fill full, where 1 is where everything must
// be dropped. Up to a half nothing is; from there the probability rises, ever
// faster, to 1.
func EarlyDrop(fill float64) float64 {
	const from = 0.5
	over := (fill - from) / (1 - from)
	over = min(max(over, 0), 1)
	return over * over
}
