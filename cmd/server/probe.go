package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
	"github.com/spf13/cobra"
)

const probeHelp = `Say by the exit code whether an instance is in the rotation: 0 if it is, 1 if not. It
is for health checks that run a command. Never ask a port that releases share: whichever
the kernel picks would answer.

In a container that is the container's own instance, also where several share a network.
Elsewhere, where several releases run, name the one that is meant.

With --alive it is 0 also before the instance is ready and while it retires, as long as it
answers. A check that restarts what fails has to ask that: one that retires is not ready, and
must not be killed for it.`

const probeExample = `  # Kubernetes
  readinessProbe:
    exec: {command: [server, probe]}
  livenessProbe:
    exec: {command: [server, probe, --alive]}

  # A script that waits for the new release
  until server probe --release v2; do sleep 0.1; done`

func newProbe() *cobra.Command {
	var which choosing
	var alive bool
	cmd := &cobra.Command{
		Use:     "probe",
		Short:   "Say whether an instance is ready, for health checks",
		Long:    probeHelp,
		Example: probeExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			good := serves
			if alive {
				good = answers
			}
			isMeant := func(f control.Found) bool { return f.Here && which.means(f) }
			// A health check has little time, and a sibling that hangs is not its business.
			all, err := control.FindUntil(cmd.Context(), askTimeout, func(f control.Found) bool { return isMeant(f) && good(f) })
			if err != nil {
				return err
			}
			return probe(slices.DeleteFunc(all, func(f control.Found) bool { return !isMeant(f) }), good)
		},
	}
	cmd.SetContext(context.Background())
	which.flags(cmd)
	cmd.Flags().BoolVar(&alive, "alive", false, "0 as long as it answers, whatever its state")
	return cmd
}

// probe returns nil if one of the instances is as good as asked for.
func probe(meant []control.Found, good func(control.Found) bool) error {
	if len(meant) == 0 {
		return errors.New("not ready: there is no such instance")
	}
	for _, f := range meant {
		if good(f) {
			return nil
		}
	}
	f := meant[len(meant)-1]
	if f.Err != nil {
		return fmt.Errorf("not ready: %w", f.Err)
	}
	return fmt.Errorf("not ready: %s is %s", nameOf(f), f.State)
}

func serves(f control.Found) bool { return f.Err == nil && f.State == overlap.StateServing.String() }

func answers(f control.Found) bool { return f.Err == nil }
