package data_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"allium/internal/data"
)

func TestBase64IsThatOfI2P(t *testing.T) {
	for text, b := range map[string]string{
		"": "", "dGVzdA==": "test", "~-~-": "\xff\xef\xfe", "AAAA": "\x00\x00\x00", "~w==": "\xff",
	} {
		if got := data.EncodeBase64([]byte(b)); got != text {
			t.Errorf("%q encodes to %q, not %q", b, got, text)
		}
		if got, err := data.DecodeBase64(text); err != nil || string(got) != b {
			t.Errorf("%q decodes to %q, %v", text, got, err)
		}
	}
}

func TestBase64RefusesAllOtherTexts(t *testing.T) {
	for _, text := range []string{"dGVzdA=", "dGVzdA", "dGVzdB==", "dG/z+A==", "dGVz\ndA==", "dGVz\r\ndA==", "=", " AAA", "dGVzdA==AAAA"} {
		if b, err := data.DecodeBase64(text); !errors.Is(err, data.ErrEncoding) {
			t.Errorf("%q decodes to %q, %v", text, b, err)
		}
	}
}

func TestBase32(t *testing.T) {
	for text, b := range map[string]string{"": "", "mzxw6ytboi": "foobar", "MZXW6YTB": "fooba", "aa": "\x00"} {
		if got, err := data.DecodeBase32(text); err != nil || string(got) != b {
			t.Errorf("%q decodes to %q, %v", text, got, err)
		}
		if got := data.EncodeBase32([]byte(b)); got != strings.ToLower(text) {
			t.Errorf("%q encodes to %q", b, got)
		}
	}
	for _, text := range []string{"a", "ab", "mzxw6ytboi======", "mzxw\n6ytboi", "mzxw1", "mzx w"} {
		if b, err := data.DecodeBase32(text); !errors.Is(err, data.ErrEncoding) {
			t.Errorf("%q decodes to %q, %v", text, b, err)
		}
	}
}

func FuzzBase64(f *testing.F) {
	f.Add("dGVzdA==")
	f.Add("~-~-")
	f.Add("dGVz\ndA==")
	f.Fuzz(func(t *testing.T, s string) {
		if b, err := data.DecodeBase64(s); err == nil && data.EncodeBase64(b) != s {
			t.Errorf("%q stands for %q as well", s, data.EncodeBase64(b))
		}
	})
}

func FuzzBase32(f *testing.F) {
	f.Add("mzxw6ytboi")
	f.Add("MZXW6YTB")
	f.Add("ab")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := data.DecodeBase32(s)
		if err != nil {
			return
		}
		if again, err := data.DecodeBase32(data.EncodeBase32(b)); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q: %q, %v", s, again, err)
		}
	})
}
