package setting

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// table is the description of a struct.
type table struct {
	fields []field
	name   int // index of the field that holds a named table's name, or -1
}

// field is the description of one field: of a setting, of a table, or of a
// set of named tables.
type field struct {
	index   int // in the struct
	name    string
	help    string
	restart bool

	table *table // of the table or of each named table; nil for a setting
	named bool   // a set of named tables

	scalar   scalar // of the setting, or of each element of a list
	list     bool
	def      string
	min, max string
	choices  []string
	unit     string
}

// root describes the struct type t and makes sure that no two settings share
// a key or the name of an environment variable. It panics when the
// description is wrong.
func root(t reflect.Type) *table {
	described := scan(t, false)
	if described.name >= 0 {
		described.name = -1 // one named table, looked at by itself
	}
	seen := map[string]string{}
	described.keys("", func(key string, _ *field) {
		env := envName(key)
		if other, ok := seen[env]; ok {
			panic(fmt.Sprintf("setting: %s: %s and %s look the same in the environment", t, other, key))
		}
		seen[env] = key
	})
	return described
}

// scan describes the struct type t.
func scan(t reflect.Type, restart bool) *table {
	described := &table{name: -1}
	for i := range t.NumField() {
		sf := t.Field(i)
		switch {
		case !sf.IsExported():
		case sf.Anonymous:
			panic(fmt.Sprintf("setting: %s.%s is embedded; give the field a name", t, sf.Name))
		case sf.Tag.Get("name") == "true":
			if sf.Type.Kind() != reflect.String {
				panic(fmt.Sprintf("setting: %s.%s is a name and must be a string", t, sf.Name))
			}
			described.name = i
		default:
			f, err := scanField(sf, i, restart)
			if err != nil {
				panic(fmt.Sprintf("setting: %s.%s %s", t, sf.Name, err))
			}
			described.fields = append(described.fields, f)
		}
	}
	return described
}

// scanField describes the i-th field of a struct.
func scanField(sf reflect.StructField, i int, restart bool) (field, error) {
	f := field{
		index:   i,
		name:    snakeCase(sf.Name),
		help:    sf.Tag.Get("help"),
		restart: restart || sf.Tag.Get("restart") == "true",
		min:     sf.Tag.Get("min"),
		max:     sf.Tag.Get("max"),
		unit:    sf.Tag.Get("unit"),
	}
	if f.help == "" {
		return f, errors.New("has no help")
	}
	t := sf.Type
	var ok bool
	if f.scalar, ok = scalarOf(t); ok {
		return f, f.scanValue(sf)
	}
	if t.Kind() == reflect.Slice {
		if f.scalar, ok = scalarOf(t.Elem()); ok {
			f.list = true
			return f, f.scanValue(sf)
		}
		f.named = true
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return f, fmt.Errorf("is a %s, which no setting can be", sf.Type)
	}
	f.table = scan(t, f.restart)
	if f.named != (f.table.name >= 0) {
		return f, errors.New(`must be a slice if, and only if, its struct has a field tagged name:"true"`)
	}
	return f, nil
}

// scanValue reads the tags that bound a setting and proves that its default
// keeps to them.
func (f *field) scanValue(sf reflect.StructField) error {
	if choices, ok := sf.Tag.Lookup("choices"); ok {
		f.choices = strings.Split(choices, ",")
	}
	if f.scalar.kind == Integer && f.scalar.typ.Bits() <= 16 {
		// A small type is chosen for its range, as that of a port.
		low, high := f.scalar.bounds()
		f.min, f.max = cmp.Or(f.min, low), cmp.Or(f.max, high)
	}
	for _, bound := range []string{f.min, f.max} {
		if bound == "" {
			continue
		}
		if !f.scalar.kind.ordered() {
			return errors.New("has a range, but its values have no order")
		}
		if _, err := f.scalar.parse(bound); err != nil {
			return fmt.Errorf("has a wrong range: %w", err)
		}
	}
	zero := reflect.New(sf.Type).Elem()
	f.def = f.format(zero)
	if def, ok := sf.Tag.Lookup("default"); ok {
		f.def = def
	}
	if err := f.assign(zero, f.split(f.def)); err != nil {
		return fmt.Errorf("has a wrong default: %w", err)
	}
	f.def = f.format(zero)
	return nil
}

// setting is the public form of the description.
func (f *field) setting(key string) Setting {
	return Setting{
		Key: key, Kind: f.scalar.kind, List: f.list, Help: f.help, Default: f.def,
		Min: f.min, Max: f.max, Choices: f.choices, Unit: f.unit, Restart: f.restart,
	}
}

// field finds a field by its key, or returns nil.
func (t *table) field(name string) *field {
	for i := range t.fields {
		if t.fields[i].name == name {
			return &t.fields[i]
		}
	}
	return nil
}

// keys calls do for every setting the description has, with NAME in the place
// of a named table's name.
func (t *table) keys(prefix string, do func(key string, f *field)) {
	for i := range t.fields {
		f := &t.fields[i]
		switch {
		case f.table == nil:
			do(prefix+f.name, f)
		case f.named:
			f.table.keys(prefix+f.name+".NAME.", do)
		default:
			f.table.keys(prefix+f.name+".", do)
		}
	}
}

// visit calls do for every setting of v, in the order of the fields.
func visit(v reflect.Value, t *table, prefix string, do func(key string, f *field, v reflect.Value)) {
	for i := range t.fields {
		f := &t.fields[i]
		value, key := v.Field(f.index), prefix+f.name
		switch {
		case f.table == nil:
			do(key, f, value)
		case f.named:
			for j := range value.Len() {
				e := value.Index(j)
				visit(e, f.table, key+"."+e.Field(f.table.name).String()+".", do)
			}
		default:
			visit(value, f.table, key+".", do)
		}
	}
}

// element makes a new named table with its defaults.
func (t *table) element(typ reflect.Type, name string) reflect.Value {
	e := reflect.New(typ).Elem()
	reset(e, t)
	e.Field(t.name).SetString(name)
	return e
}

// unknown says that the table has no such key, and which one may be meant.
func (t *table) unknown(name string) error {
	best, distance := "", 3
	for i := range t.fields {
		if d := editDistance(name, t.fields[i].name); d < distance {
			best, distance = t.fields[i].name, d
		}
	}
	if best != "" {
		return fmt.Errorf("there is no such setting; did you mean %s?", best)
	}
	return errors.New("there is no such setting")
}

// editDistance counts the letters to insert, remove or replace to make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// checkName tells whether a named table may have that name: it is part of
// dotted keys and of environment variables.
func checkName(name string) error {
	for _, c := range name {
		if c != '-' && c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return fmt.Errorf("the name %q may only have letters, digits, - and _", name)
		}
	}
	if name == "" {
		return errors.New("the name is empty")
	}
	return nil
}

// snakeCase turns a Go name into a key: HTTPProxy is http_proxy, I2CPPort is
// i2cp_port, IPv6Only is ipv6_only, BlockedURLs is blocked_urls.
func snakeCase(name string) string {
	runes := []rune(name)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return 0
		}
		return runes[i]
	}
	var key strings.Builder
	for i, c := range runes {
		if i > 0 && unicode.IsUpper(c) {
			previous, next := at(i-1), at(i+1)
			// A version (IPv6) and a plural (URLs) belong to their capitals.
			tail := next == 'v' && unicode.IsDigit(at(i+2)) || next == 's' && !unicode.IsLower(at(i+2))
			if unicode.IsLower(previous) || unicode.IsLower(next) && !tail {
				key.WriteByte('_')
			}
		}
		key.WriteRune(unicode.ToLower(c))
	}
	return key.String()
}

// envName is the name of a setting in the environment.
func envName(key string) string {
	return strings.Map(func(c rune) rune {
		if c == '.' || c == '-' {
			return '_'
		}
		return unicode.ToUpper(c)
	}, key)
}
