package setting

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what a setting holds.
type Kind uint8

// The kinds of settings.
const (
	Bool           Kind = iota // true or false
	Text                       // any text, or that of a type which reads its own
	Integer                    // a whole number
	Float                      // a number
	Duration                   // a time.Duration: "90s", "10m", "2d"
	Bytes                      // a Size
	Speed                      // a Bandwidth
	Address                    // a netip.Addr, or empty
	AddressAndPort             // a netip.AddrPort, or empty
)

// String is what a value of the kind is, for a reader: "a whole number".
func (k Kind) String() string {
	switch k {
	case Bool:
		return "true or false"
	case Integer:
		return "a whole number"
	case Float:
		return "a number"
	case Duration:
		return "a duration such as 90s, 10m or 2d"
	case Bytes:
		return "a size such as 20 MB or 256 KiB"
	case Speed:
		return "a bandwidth in KB/s, or with a unit, such as 2 MB/s or 16 Mbit/s"
	case Address:
		return "an IP address"
	case AddressAndPort:
		return "an IP address and port such as 127.0.0.1:4444"
	}
	return "text"
}

// ordered tells whether values of the kind can be compared to a range.
func (k Kind) ordered() bool {
	return k >= Integer && k <= Speed
}

// bare tells whether values of the kind stand in TOML without quotes.
func (k Kind) bare() bool {
	return k == Bool || k == Integer || k == Float
}

// scalar is the type of a single value.
type scalar struct {
	typ  reflect.Type
	kind Kind
}

// errOverflow reports a whole number that its type cannot hold.
var errOverflow = errors.New("overflow")

// scalarOf tells whether a single value can be of type t.
func scalarOf(t reflect.Type) (scalar, bool) {
	s := scalar{typ: t}
	switch t {
	case reflect.TypeFor[time.Duration]():
		s.kind = Duration
		return s, true
	case reflect.TypeFor[Size]():
		s.kind = Bytes
		return s, true
	case reflect.TypeFor[Bandwidth]():
		s.kind = Speed
		return s, true
	case reflect.TypeFor[netip.Addr]():
		s.kind = Address
		return s, true
	case reflect.TypeFor[netip.AddrPort]():
		s.kind = AddressAndPort
		return s, true
	}
	if s.readsText() && t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		s.kind = Text
		return s, true
	}
	switch t.Kind() {
	case reflect.Bool:
		s.kind = Bool
	case reflect.String:
		s.kind = Text
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind = Integer
	case reflect.Float32, reflect.Float64:
		s.kind = Float
	default:
		return s, false
	}
	return s, true
}

// readsText tells whether the type unmarshals itself from text.
func (s scalar) readsText() bool {
	return reflect.PointerTo(s.typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// parse reads one value. Its error is a sentence that names the text, or
// errOverflow.
func (s scalar) parse(text string) (reflect.Value, error) {
	v := reflect.New(s.typ).Elem()
	if s.readsText() {
		err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		if err != nil && s.kind == Text {
			return v, fmt.Errorf("%q is wrong: %w", text, err)
		}
		return v, s.explain(text, err)
	}
	var err error
	switch {
	case s.kind == Duration:
		var d time.Duration
		d, err = parseDuration(text)
		v.SetInt(int64(d))
	case s.kind == Text:
		v.SetString(text)
	case s.kind == Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
	case s.kind == Float:
		var f float64
		f, err = strconv.ParseFloat(text, s.typ.Bits())
		if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			err = strconv.ErrSyntax
		}
		v.SetFloat(f)
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, s.typ.Bits())
		v.SetInt(n)
	default:
		var n uint64
		n, err = parseUint(text, s.typ.Bits())
		v.SetUint(n)
	}
	return v, s.explain(text, err)
}

// explain turns a parser's error into a sentence.
func (s scalar) explain(text string, err error) error {
	switch {
	case err == nil:
		return nil
	case s.kind == Integer && errors.Is(err, strconv.ErrRange):
		return errOverflow
	case s.kind == Bool:
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return fmt.Errorf("%q is not %s", text, s.kind)
}

// parseUint is strconv.ParseUint, which however takes a negative number for
// no number at all.
func parseUint(text string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil && strings.HasPrefix(text, "-") {
		if _, negative := strconv.ParseInt(text, 10, 64); !errors.Is(negative, strconv.ErrSyntax) {
			return 0, strconv.ErrRange
		}
	}
	return n, err
}

// format writes one value so that parse reads it again.
func (s scalar) format(v reflect.Value) string {
	switch {
	case s.kind == Duration:
		return formatDuration(time.Duration(v.Int()))
	case s.readsText():
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	}
	switch {
	case s.kind == Text:
		return v.String()
	case s.kind == Bool:
		return strconv.FormatBool(v.Bool())
	case s.kind == Float:
		return strconv.FormatFloat(v.Float(), 'g', -1, s.typ.Bits())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	}
	return strconv.FormatUint(v.Uint(), 10)
}

// compare orders two values of the same ordered kind.
func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	return cmp.Compare(a.Float(), b.Float())
}

// bounds gives the least and the greatest whole number of the type.
func (s scalar) bounds() (least, greatest string) {
	bits := s.typ.Bits()
	if reflect.Zero(s.typ).CanUint() {
		return "0", strconv.FormatUint(math.MaxUint64>>(64-bits), 10)
	}
	return strconv.FormatInt(math.MinInt64>>(64-bits), 10), strconv.FormatInt(math.MaxInt64>>(64-bits), 10)
}

// assign checks texts and gives their values to v; on an error, whose text is
// a sentence for the user, v is as it was. Only a list takes other than one.
func (f *field) assign(v reflect.Value, texts []string) error {
	var values []reflect.Value
	for _, text := range texts {
		if f.list && strings.Contains(text, ",") {
			return fmt.Errorf("%q has a comma, which separates the values of a list", text)
		}
		value, err := f.parse(text)
		if err != nil {
			return err
		}
		values = append(values, value)
	}
	if f.list {
		list := reflect.MakeSlice(v.Type(), 0, len(values))
		v.Set(reflect.Append(list, values...))
		return nil
	}
	v.Set(values[0])
	return nil
}

// parse reads one value and checks it against its range and choices.
func (f *field) parse(text string) (reflect.Value, error) {
	if f.list || f.scalar.kind != Text {
		text = strings.TrimSpace(text)
	}
	if f.list && text == "" {
		return reflect.Value{}, errors.New("a value of the list is empty")
	}
	value, err := f.scalar.parse(text)
	switch {
	case errors.Is(err, errOverflow):
		return value, f.outside(text, true)
	case err != nil:
		return value, err
	case !f.within(value):
		return value, f.outside(text, false)
	case len(f.choices) > 0 && !slices.Contains(f.choices, f.scalar.format(value)):
		return value, fmt.Errorf("%q is not one of %s", text, strings.Join(f.choices, ", "))
	}
	return value, nil
}

// within tells whether a value keeps to its range.
func (f *field) within(value reflect.Value) bool {
	if f.min != "" {
		if least, _ := f.scalar.parse(f.min); compare(value, least) < 0 {
			return false
		}
	}
	if f.max != "" {
		if greatest, _ := f.scalar.parse(f.max); compare(value, greatest) > 0 {
			return false
		}
	}
	return true
}

// outside says that a value does not keep to its range or, with overflow, not
// even to its type.
func (f *field) outside(text string, overflow bool) error {
	least, greatest := f.min, f.max
	if overflow {
		low, high := f.scalar.bounds()
		least, greatest = cmp.Or(least, low), cmp.Or(greatest, high)
	}
	switch {
	case greatest == "":
		return fmt.Errorf("%s is less than %s", text, least)
	case least == "":
		return fmt.Errorf("%s is more than %s", text, greatest)
	}
	return fmt.Errorf("%s is not between %s and %s", text, least, greatest)
}

// split takes a list apart at its commas; a single value is one text.
func (f *field) split(text string) []string {
	switch {
	case !f.list:
		return []string{text}
	case strings.TrimSpace(text) == "":
		return nil
	}
	return strings.Split(text, ",")
}

// format writes the setting so that split and assign read it again.
func (f *field) format(v reflect.Value) string {
	if !f.list {
		return f.scalar.format(v)
	}
	texts := make([]string, v.Len())
	for i := range texts {
		texts[i] = f.scalar.format(v.Index(i))
	}
	return strings.Join(texts, ",")
}
