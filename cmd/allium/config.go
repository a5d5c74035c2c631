package main

import (
	"fmt"
	"runtime/debug"

	"allium/internal/daemon"
)

// configCommand is `allium config`.
type configCommand struct {
	Example   exampleCommand   `cmd:"" help:"Print a settings file with every setting, its default and what it does."`
	Reference referenceCommand `cmd:"" help:"Print the reference of all settings in Markdown."`
	Check     checkCommand     `cmd:"" help:"Check a settings file."`
}

type exampleCommand struct{}

// Run implements the command.
func (exampleCommand) Run(s *streams) error {
	_, err := s.out.Write(daemon.Example())
	return err
}

type referenceCommand struct{}

// Run implements the command.
func (referenceCommand) Run(s *streams) error {
	_, err := s.out.Write(daemon.Reference())
	return err
}

type checkCommand struct {
	File string `arg:"" type:"path" help:"Settings file."`
}

// Run implements the command.
func (c *checkCommand) Run(s *streams) error {
	if _, err := loadConfig(c.File, s); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "no mistakes found")
	return nil
}

type versionCommand struct{}

// Run implements the command.
func (versionCommand) Run(s *streams) error {
	fmt.Fprintln(s.out, "allium", version())
	return nil
}

// version is what the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

const (
	// envPrefix stands before the name of each setting in the environment.
	envPrefix = "ALLIUM_"
	// maxConfig is the longest settings file, in bytes.
	maxConfig = 4 << 20
)

// loadConfig reads the settings file, if there is one.
func loadConfig(path string, s *streams) (daemon.Config, error) {
	var file []byte
	if path != "" {
		var err error
		if file, err = readLimited(path, maxConfig); err != nil {
			return daemon.Config{}, usageError{err}
		}
	}
	cfg, err := daemon.Load(file, func(name string) (string, bool) { return s.env(envPrefix + name) })
	if err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}
