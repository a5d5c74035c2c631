// Command allium is an I2P router: it joins the network, carries traffic for
// others, and lets local programs visit and host sites there.
//
//	allium testnet             a private network in this process, to try it out
//	allium run                 one router in the foreground
//	allium reseed fetch        fetch the first other routers by hand
//	allium reseed export       a bundle of routers for a friend
//	allium reseed serve        a router that is a reseed server besides
//	allium netdb import        make a router know others
//	allium config example      a commented settings file
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitFailed = 1 // something did not work
	exitUsage  = 2 // a flag, a file or an address is wrong
)

// commands is the command line.
type commands struct {
	Testnet testnetCommand `cmd:"" help:"Start a private I2P network in this process, host a page on it and open an HTTP proxy to fetch it."`
	Run     runCommand     `cmd:"" help:"Run one router in the foreground."`
	Reseed  reseedCommand  `cmd:"" help:"Find the first other routers, and help others to find theirs."`
	Netdb   netdbCommand   `cmd:"" help:"Work on what a router knows of others, while it is not running."`
	Config  configCommand  `cmd:"" help:"Describe the settings."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// streams are the process's own, or a test's.
type streams struct {
	out, err io.Writer
	env      func(name string) (string, bool)
}

// usageError is a mistake of whoever typed the command.
type usageError struct{ error }

// Unwrap gives the mistake itself.
func (e usageError) Unwrap() error { return e.error }

// usage makes a usageError.
func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], &streams{out: os.Stdout, err: os.Stderr, env: os.LookupEnv})
	stop()
	os.Exit(code)
}

// run runs a command line and returns the exit code. It ends when ctx does.
func run(ctx context.Context, args []string, s *streams) (code int) {
	var c commands
	type exit struct{ code int }
	defer func() {
		if v := recover(); v != nil {
			e, ok := v.(exit)
			if !ok {
				panic(v)
			}
			code = e.code
		}
	}()
	parser, err := kong.New(&c,
		kong.Name("allium"),
		kong.Description("An I2P router."),
		kong.Writers(s.out, s.err),
		kong.Exit(func(code int) { panic(exit{code}) }), // after --help
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
		kong.Vars{"dir": defaultDir(s.env)},
	)
	if err != nil {
		panic(err) // the description above is wrong
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.err, "allium: %v\nSee 'allium --help'.\n", err)
		return exitUsage
	}
	if err := parsed.Run(); err != nil {
		fmt.Fprintf(s.err, "allium: %s\n", strings.TrimPrefix(err.Error(), "allium: "))
		if _, ok := errors.AsType[usageError](err); ok {
			return exitUsage
		}
		return exitFailed
	}
	return 0
}
