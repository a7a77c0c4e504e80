package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
	"github.com/spf13/cobra"
)

const retireHelp = `Tell instances to leave, as SIGTERM does, follow them, and print the verdict of each.

Which ones is said by their releases, by --pid, or by --all-but: all others that share a
port with the one release that stays, which has to be there and serving. A release that
is the name of several services, on ports that they do not share, has to be said by
--pid. "server status" shows them all. The last instance on a port has nobody to hand over
to: to retire it stops the service.

The exit code is 0 if every one of them has left without losing anything, and 1 if one
has not, or has not said so. Ctrl-C ends the command, not the retirement: --undo takes
that back as long as the instance still listens, which it does while it waits for a
successor.`

const retireExample = `  server retire v1
  server retire --all-but v2
  server retire --undo v1`

func newRetire() *cobra.Command {
	var (
		sel          selection
		noWait, undo bool
	)
	cmd := &cobra.Command{
		Use:     "retire [RELEASE]...",
		Short:   "Tell instances to leave, and say what that has cost",
		Long:    retireHelp,
		Example: retireExample,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			sel.releases = args
			err := sel.validate()
			if noWait && undo {
				err = errors.New("--no-wait or --undo, not both")
			}
			if err != nil {
				return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
			}
			meant, err := sel.find(cmd.Context())
			if err != nil {
				return err
			}
			o := &orders{out: cmd.OutOrStdout()}
			switch {
			case undo:
				return o.each(cmd.Context(), meant, o.takeBack)
			case noWait:
				return o.each(cmd.Context(), meant, o.tell)
			}
			return o.each(cmd.Context(), meant, o.follow)
		},
	}
	cmd.SetContext(context.Background())
	sel.byPIDOrRest(cmd)
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the verdicts")
	cmd.Flags().BoolVar(&undo, "undo", false, "take a retirement back")
	return cmd
}

func (o *orders) tell(ctx context.Context, f control.Found) error {
	s, err := inTime(ctx, control.Retire, f)
	if err == nil {
		o.say(f, "told to leave; it is %s", s.State)
	}
	return err
}

// takeBack tells an instance to stay, and waits until it is seen whether it does.
func (o *orders) takeBack(ctx context.Context, f control.Found) error {
	s, err := inTime(ctx, control.TakeBack, f)
	for err == nil && s.State == overlap.StateRetiring.String() && waiting(s.Phase) {
		time.Sleep(20 * time.Millisecond)
		s, err = inTime(ctx, control.Ask, f)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("too late, it has left")
	case err != nil:
		return err
	case stays(s.State):
		o.say(f, "it stays")
		return nil
	}
	return fmt.Errorf("too late, it is %s: %s", s.State, s.Phase)
}

// stays says whether an instance in this state does not leave.
func stays(state string) bool {
	return state == overlap.StateServing.String() || state == overlap.StateDark.String()
}

// waiting says whether an instance in this phase still listens.
func waiting(phase string) bool {
	return phase == "" || phase == string(overlap.PhaseSteer) || phase == string(overlap.PhaseSettle)
}

var (
	errNotLossless = errors.New("its retirement was not lossless")
	errNotTold     = errors.New("it could not be told to leave")
	errNoVerdict   = errors.New("it has ended without a verdict")
	errStays       = errors.New("its retirement was taken back")
	errDeaf        = errors.New("it was told to leave, and does not: whoever has an overlap.Listener waits for RetireAsked")
)

// deafAfter is how long an instance may take to begin what it was told.
const deafAfter = 5 * time.Second

// follow tells an instance to leave, and returns when it has.
func (o *orders) follow(ctx context.Context, f control.Found) error {
	verdict, err := retire(ctx, f, control.Retire, func(e control.Event) {
		if text := e.State + e.Phase + e.Notice; text != "" {
			o.say(f, "%s", text)
		}
	})
	if err != nil {
		return err
	}
	o.say(f, "%s", describe(verdict))
	if !verdict.Lossless {
		return errNotLossless
	}
	return nil
}

// order is what an instance can be told.
type order func(ctx context.Context, instance string) (control.Status, error)

// retire tells an instance to leave, calls hear with what happens from then on, and returns
// its verdict when it has ended. When ctx has ended it is not told any more.
func retire(ctx context.Context, f control.Found, how order, hear func(control.Event)) (verdict overlap.Verdict, err error) {
	told, left, back := time.Time{}, false, false
	err = errNoVerdict
	broken := control.Follow(context.WithoutCancel(ctx), f.Instance, func(e control.Event) error {
		switch {
		case told.IsZero(): // what comes from now on is heard
			if ctx.Err() != nil {
				return errInterrupted
			}
			told = time.Now()
			if _, err := inTime(context.WithoutCancel(ctx), how, f); err != nil {
				return fmt.Errorf("%w: %w", errNotTold, err)
			}
			return nil
		case e.State == overlap.StateRetiring.String():
			left, back = true, false // it may have been taken back, and told again
		case stays(e.State):
			back = left
		case e.Status != nil && !left && stays(e.Status.State) && time.Since(told) > deafAfter:
			return errDeaf
		case e.Status != nil && back: // it is still so at the next second
			return errStays
		case e.Verdict != nil:
			err = json.Unmarshal(e.Verdict, &verdict)
			return err
		}
		hear(e)
		return nil
	})
	return verdict, cmp.Or(broken, err)
}

// describe is a verdict on one line.
func describe(v overlap.Verdict) string {
	word := "lossless"
	if !v.Lossless {
		word = "not lossless: " + v.Reason
	}
	text := fmt.Sprintf("%s; %d requests answered, %d abandoned, %d late, %d cut, %d bytes unacknowledged",
		word, v.Requests, v.Abandoned, v.Late, v.Cut, v.Unacknowledged)
	if !v.Successor {
		text += "; it had no successor"
	}
	return text
}
