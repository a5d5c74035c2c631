package main

import (
	"context"
	"errors"
	"log/slog"
	"syscall"

	"allium/internal/daemon"
)

// runCommand is `allium run`.
type runCommand struct {
	Dir    string `default:"${dir}" type:"path" placeholder:"DIR" help:"Directory for keys, network database and router.info. Made if needed. (${dir})"`
	Config string `type:"path" placeholder:"FILE" help:"Settings file in TOML; see 'allium config example'. Without one, the settings are those of the environment and the defaults."`
}

// Run implements the command.
func (c *runCommand) Run(ctx context.Context, s *streams) error {
	cfg, err := loadConfig(c.Config, s)
	if err != nil {
		return err
	}
	return serve(ctx, c.Dir, cfg, s)
}

// serve runs a router until it is told to stop.
func serve(ctx context.Context, dir string, cfg daemon.Config, s *streams) error {
	log := logger(cfg.Log.Level, s)
	d, err := daemon.Start(ctx, dir, cfg, log)
	switch {
	case ctx.Err() != nil && d == nil:
		return nil // stopped while it started
	case err != nil:
		return startError(err)
	}
	<-ctx.Done()
	log.Info("stopping")
	return d.Close()
}

// shortages are failures of the machine.
var shortages = []error{syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO}

// startError tells why something did not start. Unless the machine has run
// out of something, it is for a wrong file, directory or address.
func startError(err error) error {
	for _, shortage := range shortages {
		if errors.Is(err, shortage) {
			return err
		}
	}
	return usageError{err}
}

// logger logs to standard error.
func logger(level string, s *streams) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // the settings allow nothing else that fails
	}
	return slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: l}))
}
