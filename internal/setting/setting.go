// Package setting reads a program's settings from tagged structs. The struct
// is the only description there is: the defaults, the TOML file, the
// environment, the command line, the checks, the commented example file, the
// reference page and a form in a console all come from it.
//
// A package owns its struct and the program composes them:
//
//	type Config struct {
//		Port    uint16        `default:"4444" min:"1" help:"Port to listen on." restart:"true"`
//		Timeout time.Duration `default:"90s" min:"1s" max:"1h" help:"How long an idle client may stay."`
//		Mode    string        `default:"fair" choices:"fair,fast" help:"What to favour under load."`
//		Limit   setting.Size  `default:"20 MB" help:"Memory for pages."`
//	}
//
//	type All struct {
//		HTTPProxy Config   `help:"The proxy for browsers."` // [http_proxy]
//		Tunnels   []Tunnel `help:"One table for each."`     // [tunnels.NAME]
//	}
//
// Keys are the field names in snake_case, joined by dots: http_proxy.port. A
// nested struct is a TOML table. A slice of structs is a set of named tables,
// [tunnels.NAME] in the file, kept in the file's order; its struct has a field
// `Name string` tagged `name:"true"`. Maps are not supported, so that nothing
// depends on their order.
//
// The tags are: help (required, full sentences), default, min, max, choices
// (separated by commas), unit (what a number counts, for the reader only) and
// restart:"true" (a change needs a restart; on a struct it holds for all of
// its fields). Types are bool, string, integers, floats, time.Duration,
// netip.Addr, netip.AddrPort, [Size], [Bandwidth], any other type that
// marshals itself to and from text, and slices of all these.
//
// A setting is taken from its default, then the file, then the environment,
// then the command line; a later one wins. This package reads none of them
// itself: the caller hands over the file's bytes and a way to look up the
// environment, and [Flags] describes the command line to alecthomas/kong.
//
// A mistake in a description is a bug in the program and panics when the
// struct is first used. A mistake in a value is an [Error], a sentence for the
// person who wrote the value.
package setting

import (
	"fmt"
	"reflect"
	"strings"
)

// Setting is one setting: its description, and what it stands at in the
// struct it was read from.
type Setting struct {
	Key     string   // dotted path, such as "http_proxy.port"
	Kind    Kind     // what it holds, or what each element of a List is
	List    bool     // it holds any number of values
	Help    string   // what it does, in sentences
	Default string   // as text that Set takes
	Value   string   // as text that Set takes
	Min     string   // least value, or empty
	Max     string   // greatest value, or empty
	Choices []string // the only values, or none
	Unit    string   // what a number counts, or empty
	Restart bool     // a change takes effect after a restart
}

// Env is the name of the environment variable, without any prefix that the
// program puts before it: "HTTP_PROXY_PORT".
func (s Setting) Env() string {
	return envName(s.Key)
}

// Flag is the name of the command-line flag without its dashes:
// "http-proxy.port".
func (s Setting) Flag() string {
	return strings.ReplaceAll(s.Key, "_", "-")
}

// Error is one wrong setting. Its text is a sentence for a user:
// "config line 12: http_proxy.port: 70000 is not between 1 and 65535".
type Error struct {
	Source string // "config line 12", "environment", "flag --http-proxy.port", or empty
	Key    string // dotted path, or empty when the file as a whole is meant
	Reason string
}

// Error gives the source, the key and the reason.
func (e *Error) Error() string {
	var parts []string
	for _, part := range []string{e.Source, e.Key, e.Reason} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Describe lists every setting of v, a struct or a pointer to one, in the
// order of the fields, with the values that v holds. Named tables are listed
// as far as v has any.
func Describe(v any) []Setting {
	value, t := structOf(v)
	var list []Setting
	visit(value, t, "", func(key string, f *field, v reflect.Value) {
		s := f.setting(key)
		s.Value = f.format(v)
		list = append(list, s)
	})
	return list
}

// Set changes the one setting with that key in dst, a pointer to a struct, as
// a form or a command does. A list is separated by commas. A named table that
// is not there yet is added. On an *Error dst is as it was.
func Set(dst any, key, text string) error {
	v, t := pointee(dst)
	if reason := set(v, t, strings.Split(key, "."), text); reason != nil {
		return &Error{Key: key, Reason: reason.Error()}
	}
	return nil
}

// set follows path into v and assigns text to the setting at its end.
func set(v reflect.Value, t *table, path []string, text string) error {
	f := t.field(path[0])
	if f == nil {
		return t.unknown(path[0])
	}
	rest := path[1:]
	switch {
	case f.table == nil && len(rest) == 0:
		return f.assign(v.Field(f.index), f.split(text))
	case f.table == nil:
		return fmt.Errorf("%s is a setting, not a table", f.name)
	case f.named && len(rest) >= 2:
		return setNamed(v.Field(f.index), f.table, rest, text)
	case !f.named && len(rest) >= 1:
		return set(v.Field(f.index), f.table, rest, text)
	}
	return fmt.Errorf("this is a table, not a setting")
}

// setNamed sets a setting of the named table path[0], which it adds to the
// list v when it is new and the setting is right.
func setNamed(v reflect.Value, t *table, path []string, text string) error {
	for i := range v.Len() {
		if v.Index(i).Field(t.name).String() == path[0] {
			return set(v.Index(i), t, path[1:], text)
		}
	}
	if err := checkName(path[0]); err != nil {
		return err
	}
	e := t.element(v.Type().Elem(), path[0])
	if err := set(e, t, path[1:], text); err != nil {
		return err
	}
	v.Set(reflect.Append(v, e))
	return nil
}

// structOf describes the struct v is or points to.
func structOf(v any) (reflect.Value, *table) {
	value := reflect.Indirect(reflect.ValueOf(v))
	if value.Kind() != reflect.Struct {
		panic(fmt.Sprintf("setting: %T is neither a struct nor a pointer to one", v))
	}
	return value, root(value.Type())
}

// pointee describes the struct that v points to, which can be changed.
func pointee(v any) (reflect.Value, *table) {
	if reflect.ValueOf(v).Kind() != reflect.Pointer {
		panic(fmt.Sprintf("setting: %T is not a pointer to a struct", v))
	}
	return structOf(v)
}
