package setting

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// section is a table of the settings as a document shows it.
type section struct {
	key   string // empty for the settings before the first table
	help  string
	named bool // it, or a table around it, is one of a set
	list  []Setting
}

// sections lists the tables that a description has and their settings. The
// settings of a table come before the tables in it, as TOML wants them. A
// named table goes by NAME.
func sections(t *table, s section) []section {
	var inner []section
	prefix := s.key
	if prefix != "" {
		prefix += "."
	}
	for i := range t.fields {
		f := &t.fields[i]
		key := prefix + f.name
		if f.table == nil {
			s.list = append(s.list, f.setting(key))
			continue
		}
		if f.named {
			key += ".NAME"
		}
		inner = append(inner, sections(f.table, section{key: key, help: f.help, named: s.named || f.named})...)
	}
	return append([]section{s}, inner...)
}

// Example writes a TOML file in which everything is explained and nothing is
// set: every setting stands at its default behind a "#". Taking one away sets
// that setting. What v, a struct or a pointer to one, holds is not in it.
func Example(v any) []byte {
	_, t := structOf(v)
	var b bytes.Buffer
	for _, s := range sections(t, section{}) {
		if s.key != "" {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			comment(&b, s.help)
			if s.named {
				b.WriteByte('#')
			}
			fmt.Fprintf(&b, "[%s]\n", s.key)
		}
		for i, setting := range s.list {
			if i > 0 || s.key != "" {
				b.WriteByte('\n')
			}
			comment(&b, setting.Help)
			comment(&b, setting.sentence())
			fmt.Fprintf(&b, "#%s = %s\n", setting.name(), setting.literal())
		}
	}
	return b.Bytes()
}

// Markdown writes a reference page of all settings of v, a struct or a pointer
// to one: a heading and a table of settings for each table. The page has no
// title; it starts with the settings outside any table, if there are any.
func Markdown(v any) []byte {
	_, t := structOf(v)
	var b bytes.Buffer
	for _, s := range sections(t, section{}) {
		if s.key != "" {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "## [%s]\n\n%s\n", s.key, s.help)
		}
		if len(s.list) == 0 {
			continue
		}
		if s.key != "" {
			b.WriteByte('\n')
		}
		b.WriteString("| Setting | Meaning | Values | Default |\n|---|---|---|---|\n")
		for _, setting := range s.list {
			help := setting.Help
			if setting.Restart {
				help += " Takes effect after a restart."
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` |\n",
				setting.name(), cell(help), cell(setting.meaning()), cell(setting.literal()))
		}
	}
	return b.Bytes()
}

// name is the last part of the key.
func (s Setting) name() string {
	return s.Key[strings.LastIndexByte(s.Key, '.')+1:]
}

// meaning says which values a setting takes.
func (s Setting) meaning() string {
	text := s.Kind.String()
	if s.Unit != "" && s.Kind.ordered() {
		text += " of " + s.Unit
	}
	switch {
	case len(s.Choices) > 0:
		text = "one of " + strings.Join(s.Choices, ", ")
	case s.Min != "" && s.Max != "":
		text += ", " + s.Min + " to " + s.Max
	case s.Min != "":
		text += ", at least " + s.Min
	case s.Max != "":
		text += ", at most " + s.Max
	}
	switch {
	case s.List && text == Text.String():
		return "a list of texts"
	case s.List:
		return "a list, each " + text
	}
	return text
}

// sentence is meaning and the need of a restart, in sentences.
func (s Setting) sentence() string {
	meaning := s.meaning()
	text := strings.ToUpper(meaning[:1]) + meaning[1:] + "."
	if s.Restart {
		text += " Takes effect after a restart."
	}
	return text
}

// literal is the default as TOML writes it.
func (s Setting) literal() string {
	quote := func(text string) string {
		if s.Kind.bare() {
			return text
		}
		return strconv.Quote(text)
	}
	if !s.List {
		return quote(s.Default)
	}
	var literals []string
	if s.Default != "" {
		for _, text := range strings.Split(s.Default, ",") {
			literals = append(literals, quote(text))
		}
	}
	return "[" + strings.Join(literals, ", ") + "]"
}

// comment writes a text in lines of at most 78 letters that begin with "# ".
func comment(b *bytes.Buffer, text string) {
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 78 && line != "#" {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// cell makes a text safe within a Markdown table.
func cell(text string) string {
	return strings.ReplaceAll(text, "|", `\|`)
}
