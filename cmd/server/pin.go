package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ba995850/overlap/internal/control"
	"github.com/spf13/cobra"
)

const pinHelp = `Put dark instances into the rotation: those that were started with "serve --dark", or
unpinned. From then on each gets its share of the new connections. On one that serves
it changes nothing.`

const pinExample = `  # See with a few requests whether the next release does well, and decide then.
  server serve --addr :8080 --release v2 --dark
  server pin v2
  server unpin v2    # back out at once, or
  server retire v1   # go on`

const unpinHelp = `Take instances out of the rotation, without retiring them: new connections go to the
others, those that there are go on, and "server pin" brings it back. A client that keeps
its connection stays where it is; "server retire" moves it.

It is refused where no other instance is in the rotation. An instance that is dark gets
connections all the same if all the others die.`

// orderTimeout is how long an instance may take to do what it is told. To become dark it
// looks twice, for up to a second, on each port.
const orderTimeout = 10 * time.Second

// turning is what instances can be told with one word.
type turning struct {
	give   order
	done   string // what has come of it
	within time.Duration
}

// to gives the order to an instance. One that is not done in time may be yet, so the error
// says how the instance is.
func (what turning) to(ctx context.Context, f control.Found) error {
	limited, stop := context.WithTimeout(ctx, what.within)
	defer stop()
	_, err := what.give(limited, f.Instance)
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s, err := inTime(ctx, control.Ask, f)
	if err != nil {
		return err
	}
	return fmt.Errorf("it is %s, and has not said within %v that it has done it: see server status", s.State, what.within)
}

func newPin() *cobra.Command {
	return newTurning(&cobra.Command{
		Use: "pin [RELEASE]...", Short: "Put dark instances into the rotation", Long: pinHelp, Example: pinExample,
	}, turning{control.Pin, "in the rotation", orderTimeout})
}

func newUnpin() *cobra.Command {
	return newTurning(&cobra.Command{
		Use: "unpin [RELEASE]...", Short: "Take instances out of the rotation, to come back", Long: unpinHelp, Example: pinExample,
	}, turning{control.Unpin, "dark", orderTimeout})
}

func newTurning(cmd *cobra.Command, what turning) *cobra.Command {
	var sel selection
	sel.byPID(cmd)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sel.releases = args
		if err := sel.validate(); err != nil {
			return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
		}
		meant, err := sel.find(cmd.Context())
		if err != nil {
			return err
		}
		o := &orders{out: cmd.OutOrStdout()}
		return o.each(cmd.Context(), meant, func(ctx context.Context, f control.Found) error {
			err := what.to(ctx, f)
			if err == nil {
				o.say(f, "%s", what.done)
			}
			return err
		})
	}
	cmd.SetContext(context.Background())
	return cmd
}
