package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"allium/internal/daemon"
)

// runCommand is `allium run`.
type runCommand struct {
	Dir    string `required:"" type:"path" placeholder:"DIR" help:"Directory for keys, network database and router.info. Made if needed."`
	Config string `type:"path" placeholder:"FILE" help:"Settings file in TOML; see 'allium config example'. Without one, all settings are at their defaults."`
}

// envPrefix stands before the name of each setting in the environment.
const envPrefix = "ALLIUM_"

// loadConfig reads the settings file, if there is one.
func loadConfig(path string, s *streams) (daemon.Config, error) {
	var file []byte
	if path != "" {
		var err error
		if file, err = os.ReadFile(path); err != nil {
			return daemon.Config{}, usageError{err}
		}
	}
	cfg, err := daemon.Load(file, func(name string) (string, bool) { return s.env(envPrefix + name) })
	if err != nil {
		return cfg, usageError{err}
	}
	return cfg, nil
}

// Run implements the command.
func (c *runCommand) Run(ctx context.Context, s *streams) error {
	cfg, err := loadConfig(c.Config, s)
	if err != nil {
		return err
	}
	d, err := daemon.Start(ctx, c.Dir, cfg, logger(cfg.Log.Level, s))
	if err != nil {
		if cannotListen(err) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
			return usageError{err}
		}
		return err
	}
	<-ctx.Done()
	return d.Close()
}

// cannotListen tells an address that is in use or not ours.
func cannotListen(err error) bool {
	text := err.Error()
	return strings.Contains(text, "bind:") || strings.Contains(text, "listen ")
}

// logger logs to standard error.
func logger(level string, s *streams) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // the settings allow nothing else that fails
	}
	return slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: l}))
}

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
