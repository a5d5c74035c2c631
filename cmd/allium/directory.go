package main

import (
	"os"
	"path/filepath"
	"runtime"
)

// defaultDir is the directory of a router that was told none: the place that
// the system has for what programs keep. It is relative to the working
// directory for who has no home.
func defaultDir(env func(name string) (string, bool)) string {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		if dir, err := os.UserConfigDir(); err == nil {
			return filepath.Join(dir, "allium")
		}
	}
	if dir, _ := env("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "allium")
	}
	home, _ := env("HOME")
	return filepath.Join(home, ".local", "share", "allium")
}
