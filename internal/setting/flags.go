package setting

import (
	"fmt"
	"reflect"
	"strings"
)

// Flags describes the settings of a struct as command-line flags, one for
// each that is not in a named table. It makes a struct for alecthomas/kong to
// fill in, so that kong parses the flags, explains them and completes them,
// while their checks and their place after the environment stay here:
//
//	flags := setting.NewFlags(&config)
//	parser := kong.Must(&cli, kong.Embed(flags.Struct()))
//	... parse, then setting.Load(&config, file, env), then flags.Apply(&config)
//
// A switch is --nat or --no-nat, everything else --key=value.
type Flags struct {
	settings []Setting
	given    reflect.Value // pointer to a struct of a pointer for each setting
}

// NewFlags describes the flags of v, a struct or a pointer to one.
func NewFlags(v any) *Flags {
	f := &Flags{}
	_, t := structOf(v)
	var fields []reflect.StructField
	t.keys("", func(key string, described *field) {
		if strings.Contains(key, ".NAME.") {
			return
		}
		s := described.setting(key)
		f.settings = append(f.settings, s)
		fields = append(fields, flag(s, len(fields)))
	})
	f.given = reflect.New(reflect.StructOf(fields))
	return f
}

// flag is the i-th field of the struct for kong. It has no default there: a
// flag that was not given must not hide the file.
func flag(s Setting, i int) reflect.StructField {
	help := s.Help
	if !s.isSwitch() {
		help = fmt.Sprintf("%s (%s)", help, s.meaning())
	}
	group, _, found := strings.Cut(s.Key, ".")
	if !found {
		group = ""
	}
	// kong replaces ${...} and $$ in these texts.
	quote := func(text string) string { return fmt.Sprintf("%q", strings.ReplaceAll(text, "$", "$$")) }
	tag := fmt.Sprintf("name:%q help:%s group:%q", s.Flag(), quote(help), group)
	typ := reflect.TypeFor[*string]()
	if s.isSwitch() {
		typ = reflect.TypeFor[*bool]()
		tag += ` negatable:""`
	} else {
		tag += ` placeholder:"VALUE"`
	}
	return reflect.StructField{Name: fmt.Sprintf("Flag%d", i), Type: typ, Tag: reflect.StructTag(tag)}
}

// isSwitch tells whether the flag needs no value.
func (s Setting) isSwitch() bool {
	return s.Kind == Bool && !s.List
}

// Struct is the pointer to give to kong.Embed, or to kong.Plugins in the
// struct of one command.
func (f *Flags) Struct() any {
	return f.given.Interface()
}

// Apply sets in dst, a pointer to a struct, what the command line gave. It
// stops at the first *Error.
func (f *Flags) Apply(dst any) error {
	for i, s := range f.settings {
		given := f.given.Elem().Field(i)
		if given.IsNil() {
			continue
		}
		if err := Set(dst, s.Key, fmt.Sprint(given.Elem())); err != nil {
			wrong := err.(*Error)
			wrong.Source = "flag --" + s.Flag()
			return wrong
		}
	}
	return nil
}
