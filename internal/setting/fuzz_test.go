package setting_test

import (
	"reflect"
	"strings"
	"testing"

	"allium/internal/setting"
)

// FuzzLoad feeds files. Whatever is wrong is told with its line and changes
// nothing; whatever is right can be described and set again.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("mode = \"fast\"\n[http_proxy]\nport = 1\n[tunnels.web]\nhops = 0"))
	f.Add([]byte("[http_proxy]\nport = 70000"))
	f.Add([]byte("http_proxy = { port = 1, x = { y = [1] } }"))
	f.Add([]byte("tunnels.\"a.b\".c = [[{}]]"))
	f.Add(setting.Example(config{}))
	f.Fuzz(func(t *testing.T, file []byte) {
		var c config
		if err := setting.Load(&c, file, nil); err != nil {
			joined, ok := err.(interface{ Unwrap() []error })
			if !ok || !reflect.ValueOf(c).IsZero() {
				t.Fatalf("%v, %+v", err, c)
			}
			for _, err := range joined.Unwrap() {
				if source := err.(*setting.Error).Source; !strings.HasPrefix(source, "config line ") || strings.HasSuffix(source, " 0") {
					t.Fatal(err)
				}
			}
			return
		}
		var again config
		setting.Defaults(&again)
		for _, tunnel := range c.Tunnels {
			if err := setting.Set(&again, "tunnels."+tunnel.Name+".hops", "3"); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range setting.Describe(c) {
			if err := setting.Set(&again, s.Key, s.Value); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v\n%+v", c, again)
		}
	})
}

// FuzzSize checks that a size which is read is written so that it reads alike.
func FuzzSize(f *testing.F) {
	for _, text := range []string{"20 MB", "256KiB", "1.5 gb", "9223372036854775807", "0.1 TiB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a, b setting.Size
		if a.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := b.UnmarshalText([]byte(a.String())); err != nil || a != b || a < 0 {
			t.Errorf("%q: %d is written %s and read %d, %v", text, a, a, b, err)
		}
	})
}
