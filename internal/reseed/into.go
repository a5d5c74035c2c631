package reseed

import (
	"errors"

	"allium/internal/data"
	"allium/internal/netdb"
)

// netdbReasons are what the netDb refuses, in the words of sources.
var netdbReasons = []struct {
	is     error
	reason Reason
}{
	{netdb.ErrNetID, OtherNetwork}, {netdb.ErrExpired, OldRouters}, {netdb.ErrVersion, OldRouters},
	{netdb.ErrUnreadable, NoBundle}, {netdb.ErrName, NoBundle}, {data.ErrSignature, BadSignature},
}

// TakenBy is what a netDb made of a bundle.
func TakenBy(done netdb.Imported) Taken {
	t := Taken{Usable: done.Added + done.Known}
	most := 0
	for _, refusal := range done.Refused {
		if refusal.Count <= most {
			continue
		}
		most, t.Why = refusal.Count, FewRouters
		for _, r := range netdbReasons {
			if errors.Is(refusal.Reason, r.is) {
				t.Why = r.reason
			}
		}
	}
	return t
}
