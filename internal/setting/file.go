package setting

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is a TOML file: its values, and the lines its keys stand on. The
// values come from the TOML decoder, which proves the file to be right TOML;
// the lines come from a second, flat pass of its parser, because the decoder
// tells them for its own errors only and not for values out of range.
type document struct {
	lines map[string]int // by dotted key
	errs  []error
}

// loadFile reads a TOML file into v.
func loadFile(v reflect.Value, t *table, file []byte) []error {
	// Some editors put a byte order mark before the first line.
	file = bytes.TrimPrefix(file, []byte("\ufeff"))
	var values map[string]any
	if err := toml.Unmarshal(file, &values); err != nil {
		return []error{syntaxError(err)}
	}
	d := document{lines: lines(file)}
	d.fill(v, t, "", values)
	return d.errs
}

// syntaxError says where and why a file is not TOML.
func syntaxError(err error) *Error {
	reason := strings.TrimPrefix(err.Error(), "toml: ")
	var decode *toml.DecodeError
	if !errors.As(err, &decode) {
		return &Error{Source: "config", Reason: reason}
	}
	line, column := decode.Position()
	return &Error{Source: fmt.Sprintf("config line %d, column %d", line, column), Reason: reason}
}

// fail notes that the value under key is wrong.
func (d *document) fail(key string, reason error) {
	source := fmt.Sprintf("config line %d", d.lines[key])
	d.errs = append(d.errs, &Error{Source: source, Key: key, Reason: reason.Error()})
}

// fill gives v the values of one table, whose keys begin with prefix.
func (d *document) fill(v reflect.Value, t *table, prefix string, values map[string]any) {
	for _, name := range d.inOrder(prefix, values) {
		key, value := prefix+name, values[name]
		f := t.field(name)
		if f == nil {
			d.fail(key, t.unknown(name))
			continue
		}
		if f.table == nil {
			d.setting(v.Field(f.index), f, key, value)
			continue
		}
		inner, ok := value.(map[string]any)
		switch {
		case ok && f.named:
			d.named(v.Field(f.index), f.table, key+".", inner)
		case ok:
			d.fill(v.Field(f.index), f.table, key+".", inner)
		case f.named:
			d.fail(key, fmt.Errorf("this is a set of tables, each written as [%s.NAME]", key))
		default:
			d.fail(key, fmt.Errorf("this is a table, written as [%s]", key))
		}
	}
}

// named appends named tables to the list v.
func (d *document) named(v reflect.Value, t *table, prefix string, values map[string]any) {
	for _, name := range d.inOrder(prefix, values) {
		key := prefix + name
		inner, ok := values[name].(map[string]any)
		if !ok {
			d.fail(key, fmt.Errorf("this is a table, written as [%s]", key))
			continue
		}
		if err := checkName(name); err != nil {
			d.fail(key, err)
			continue
		}
		e := t.element(v.Type().Elem(), name)
		d.fill(e, t, key+".", inner)
		v.Set(reflect.Append(v, e))
	}
}

// setting gives v the value of one setting.
func (d *document) setting(v reflect.Value, f *field, key string, value any) {
	texts, err := f.texts(value)
	if err == nil {
		err = f.assign(v, texts)
	}
	if err != nil {
		d.fail(key, err)
	}
}

// texts turns a TOML value into the text of a setting, or those of a list.
func (f *field) texts(value any) ([]string, error) {
	if !f.list {
		text, err := f.text(value)
		return []string{text}, err
	}
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New(`this is a list, written as ["one", "two"]`)
	}
	var texts []string
	for _, value := range list {
		text, err := f.text(value)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// text turns one TOML value into text. A number is right for a text only in
// quotes: without them 0x10 would become "16" and 1.10 would become "1.1".
func (f *field) text(value any) (string, error) {
	var text string
	switch value := value.(type) {
	case string:
		return value, nil
	case bool:
		text = strconv.FormatBool(value)
	case int64:
		text = strconv.FormatInt(value, 10)
	case float64:
		text = strconv.FormatFloat(value, 'f', -1, 64)
	case []any:
		return "", errors.New("this takes one value, not a list")
	case map[string]any:
		return "", errors.New("this takes one value, not a table")
	default:
		return "", errors.New("dates and times need quotes")
	}
	if f.scalar.kind == Text {
		return "", fmt.Errorf("%s needs quotes", text)
	}
	return text, nil
}

// inOrder lists the keys of a table as the file has them.
func (d *document) inOrder(prefix string, values map[string]any) []string {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(d.lines[prefix+a], d.lines[prefix+b]), cmp.Compare(a, b))
	})
	return names
}

// lines finds the first line of every key and every table of a file that is
// right TOML.
func lines(file []byte) map[string]int {
	var p unstable.Parser
	p.Reset(file)
	found := map[string]int{}
	inside := ""
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			inside = mark(found, &p, "", e.Key())
		case unstable.KeyValue:
			markValue(found, &p, inside, e)
		}
	}
	return found
}

// mark notes the line of a dotted key below prefix and of the tables it
// implies, and returns the prefix of what is in it.
func mark(found map[string]int, p *unstable.Parser, prefix string, key unstable.Iterator) string {
	for key.Next() {
		part := key.Node()
		name := prefix + string(part.Data)
		if _, ok := found[name]; !ok {
			found[name] = p.Shape(part.Raw).Start.Line
		}
		prefix = name + "."
	}
	return prefix
}

// markValue notes the lines of a key and of those in its inline table.
func markValue(found map[string]int, p *unstable.Parser, prefix string, e *unstable.Node) {
	prefix = mark(found, p, prefix, e.Key())
	if e.Value().Kind != unstable.InlineTable {
		return
	}
	inner := e.Value().Children()
	for inner.Next() {
		if inner.Node().Kind == unstable.KeyValue {
			markValue(found, p, prefix, inner.Node())
		}
	}
}
