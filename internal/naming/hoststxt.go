package naming

import (
	"bytes"
	"fmt"
	"iter"
	"strings"

	"allium/internal/data"
)

const (
	// MaxHosts is how many bytes of a hosts.txt file are read. The largest
	// there are have less than a tenth.
	MaxHosts = 32 << 20
	// maxLine is the longest line that is read: a name, the longest
	// Destination, and options with signatures.
	maxLine = 8 << 10
)

// Entry is one line of a hosts.txt file.
type Entry struct {
	// Name is normalized.
	Name        string
	Destination *data.Destination
	// Options are what follows "#!", such as who signed the entry and when
	// (specification: address subscription feed). Nothing is checked of them.
	Options []data.Pair
}

// ParseHosts reads a hosts.txt file. It yields an entry for each line of the
// form "name=destination" or "name=destination#!key=value#key=value", and an
// error that wraps ErrLine, ErrName or one of package data, with the number of
// the line, for each that is neither that, nor empty, nor a comment after "#".
// Lines with commands alone, which begin with "#!", count as comments. It ends
// after MaxHosts bytes. Entries do not keep text.
func ParseHosts(text []byte) iter.Seq2[Entry, error] {
	text = bytes.TrimPrefix(text[:min(len(text), MaxHosts)], []byte("\ufeff"))
	return func(yield func(Entry, error) bool) {
		number := 0
		for line := range bytes.Lines(text) {
			number++
			line = bytes.TrimSpace(line)
			if len(line) == 0 || line[0] == '#' {
				continue
			}
			e, err := parseLine(line)
			if err != nil {
				err = fmt.Errorf("line %d: %w", number, err)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func parseLine(line []byte) (Entry, error) {
	if len(line) > maxLine {
		return Entry{}, fmt.Errorf("%w: %d bytes", ErrLine, len(line))
	}
	main, options, _ := strings.Cut(string(line), "#")
	name, text, ok := strings.Cut(main, "=")
	if !ok {
		return Entry{}, fmt.Errorf("%w: no destination", ErrLine)
	}
	name, err := Normalize(strings.TrimSpace(name))
	if err != nil {
		return Entry{}, err
	}
	d, err := data.ParseDestinationBase64(strings.TrimSpace(text))
	if err != nil {
		return Entry{}, fmt.Errorf("naming: %s: %w", name, err)
	}
	return Entry{name, d, parseOptions(options)}, nil
}

// parseOptions reads what follows the first "#". Unless it begins with "!" it
// is a comment.
func parseOptions(text string) []data.Pair {
	text, ok := strings.CutPrefix(text, "!")
	if !ok {
		return nil
	}
	var options []data.Pair
	for option := range strings.SplitSeq(text, "#") {
		if key, value, ok := strings.Cut(option, "="); ok {
			options = append(options, data.Pair{Key: key, Value: value})
		}
	}
	return options
}

// AppendHosts appends a hosts.txt file with a line for each name.
func AppendHosts(b []byte, names iter.Seq2[string, *data.Destination]) []byte {
	for name, d := range names {
		b = append(b, name...)
		b = append(b, '=')
		b = append(b, d.Base64()...)
		b = append(b, '\n')
	}
	return b
}
