// Echo is a gRPC service that gives way to its next release without losing a call,
// and a client to see it. serve.go has what to copy.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes are those of cmd/server.
const (
	exitDrained = 0
	exitFailed  = 1
	exitUsage   = 2
	exitCut     = 3
)

const usage = `usage: echo serve [flags]   serve until SIGTERM or SIGINT, then leave
       echo ask [flags]     call a server again and again, and say who answers`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Stdout, os.Stderr, os.Args[1:]))
}

func run(ctx context.Context, stdout, stderr io.Writer, args []string) (code int) {
	verbs := map[string]func(context.Context, io.Writer, *flag.FlagSet, []string) error{"serve": serve, "ask": ask}
	if len(args) == 0 || verbs[args[0]] == nil {
		fmt.Fprintln(stderr, usage)
		return exitUsage
	}
	flags := flag.NewFlagSet("echo "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	err := verbs[args[0]](ctx, stdout, flags, args[1:])
	if code = exitCode(err); code == exitFailed {
		fmt.Fprintln(stderr, err)
	}
	return code
}

// usageError is an error that the flags have told already.
type usageError struct{ error }

func exitCode(err error) int {
	var misused usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitDrained
	case errors.As(err, &misused):
		return exitUsage
	case errors.Is(err, errCut):
		return exitCut
	default:
		return exitFailed
	}
}

// parse is flags.Parse for verbs that take no other arguments.
func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(flags.Output(), err)
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

func (e usageError) Unwrap() error { return e.error }
