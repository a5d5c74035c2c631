package reseed

import (
	"context"
	"fmt"
	"time"

	"allium/internal/random"
	"allium/internal/su3"
)

const (
	// maxAge is how old a bundle from the net may be. Its routers are judged
	// by their own age besides.
	maxAge = 30 * 24 * time.Hour
	// maxAhead is how far in the future it may have been made: servers' clocks
	// and ours are not always right.
	maxAhead = 24 * time.Hour
	// maxRouters is how many routers are taken from one bundle of the net, so
	// that no signer makes up most of what a new router knows. Servers send
	// some 77.
	maxRouters = 80
)

// ask takes the routers from a source. It tells who signed them, "" for
// unsigned ones of a file, and how many can be used.
func (r *Reseeder) ask(ctx context.Context, s source) (signer string, usable int, err error) {
	var files []su3.Entry
	switch s.kind {
	case local:
		signer, files, err = readLocal(s.place, r.w.Now(), r.signers)
	case single:
		signer, files, err = r.fetch(ctx, s.place)
	default:
		signer, files, err = r.fetch(ctx, fmt.Sprintf("%s%s?netid=%d", slashed(s.place), bundleFile, r.w.NetID))
	}
	if err != nil {
		return signer, 0, err
	}
	taken := r.w.Router.Take(files)
	if taken.Usable < r.leastUsable() {
		if taken.Why == "" {
			taken.Why = FewRouters
		}
		return signer, taken.Usable, &fewError{taken.Usable, taken.Why}
	}
	return signer, taken.Usable, nil
}

// fetch fetches a signed bundle. The signer is told as soon as it is sure.
func (r *Reseeder) fetch(ctx context.Context, from string) (signer string, files []su3.Entry, err error) {
	b, err := r.client.get(ctx, from)
	if err != nil {
		return "", nil, err
	}
	f, err := verified(b, r.w.Now(), r.signers)
	if err == nil {
		err = checkAge(f, r.w.Now())
	}
	if err != nil {
		return "", nil, err
	}
	if files, err = su3.Bundle(f.Content); len(files) > maxRouters {
		random.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		files = files[:maxRouters]
	}
	return f.SignerID, files, err
}

// verified reads an SU3 file that one of signers has signed and that holds a
// bundle.
func verified(b []byte, now time.Time, signers []su3.Signer) (*su3.File, error) {
	f, err := su3.Parse(b)
	if err != nil {
		return nil, err
	}
	if f.ContentType != su3.Reseed || f.FileType != su3.Zip {
		return nil, fmt.Errorf("%w: content type %d, file type %d", ErrNoBundle, f.ContentType, f.FileType)
	}
	return f, f.Verify(now, signers)
}

// checkAge refuses what has lain on a server for weeks.
func checkAge(f *su3.File, now time.Time) error {
	made, err := f.Time()
	switch age := now.Sub(made); {
	case err != nil:
		return err
	case age > maxAge:
		return fmt.Errorf("%w: made on %s", ErrOld, made.Format(time.DateOnly))
	case age < -maxAhead:
		return fmt.Errorf("%w: made on %s", ErrEarly, made.Format(time.DateOnly))
	}
	return nil
}
