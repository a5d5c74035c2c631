package main

import (
	"path/filepath"
	"runtime"
	"testing"
)

func TestFilesAreKeptWhereTheSystemHasThem(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the system says where")
	}
	for _, c := range []struct{ data, home, want string }{
		{"", "/home/me", "/home/me/.local/share/allium"},
		{"/data", "/home/me", "/data/allium"},
		{"data", "/home/me", "/home/me/.local/share/allium"}, // the standard says to ignore it
		{"", "", ".local/share/allium"},
	} {
		env := map[string]string{"XDG_DATA_HOME": c.data, "HOME": c.home}
		got := defaultDir(func(name string) (string, bool) { v, ok := env[name]; return v, ok && v != "" })
		if filepath.ToSlash(got) != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
