package setting

import (
	"errors"
	"reflect"
)

// Defaults gives every setting of dst, a pointer to a struct, its default and
// leaves no named tables.
func Defaults(dst any) {
	v, t := pointee(dst)
	reset(v, t)
}

// Load reads the settings into dst, a pointer to a struct: the defaults, then
// file, a TOML document, then what env finds under the names that Setting.Env
// gives. A nil file is an empty one and a nil env finds nothing. A key of the
// file that the struct does not know is an error. Named tables come from the
// file alone; the environment can change their settings but not add any.
//
// The error joins an *Error for everything that is wrong, in the order of the
// file; on any, dst is as it was.
func Load(dst any, file []byte, env func(name string) (text string, ok bool)) error {
	v, t := pointee(dst)
	loaded := reflect.New(v.Type()).Elem()
	loaded.Set(v)
	reset(loaded, t)
	errs := loadFile(loaded, t, file)
	if env != nil {
		errs = append(errs, loadEnv(loaded, t, env)...)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	v.Set(loaded)
	return nil
}

// loadEnv reads the environment into v.
func loadEnv(v reflect.Value, t *table, env func(string) (string, bool)) (errs []error) {
	visit(v, t, "", func(key string, f *field, v reflect.Value) {
		text, ok := env(envName(key))
		if !ok {
			return
		}
		if err := f.assign(v, f.split(text)); err != nil {
			errs = append(errs, &Error{Source: "environment", Key: key, Reason: err.Error()})
		}
	})
	return errs
}

// reset gives every setting of v its default and empties the sets of named
// tables.
func reset(v reflect.Value, t *table) {
	for i := range t.fields {
		f := &t.fields[i]
		value := v.Field(f.index)
		switch {
		case f.table == nil:
			if err := f.assign(value, f.split(f.def)); err != nil {
				panic(err) // scan has proved the default
			}
		case f.named:
			value.SetZero()
		default:
			reset(value, f.table)
		}
	}
}
