package allium

// JoiningOf is joining.
var JoiningOf = joining

// Steps are the names of the steps, in order.
func Steps() (names []string) {
	for _, s := range steps {
		names = append(names, s.name)
	}
	return names
}
