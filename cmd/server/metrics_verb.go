package main

import (
	"context"
	"errors"
	"io"

	"github.com/ba995850/overlap/cmd/server/metrics"
	"github.com/spf13/cobra"
)

const metricsHelp = `Print the metrics of all instances in this network namespace that run as your user, in
the text format of Prometheus, as --admin-addr of "server serve" has them. The labels
release and instance say whose each series is; instance is the beginning of the name
that "server status --json" has. What an instance has counted stays for ten minutes
after its end, with those that shared its port.

An instance that does not answer has overlap_sibling_up 0, and the exit code is 1.

Profiles are at the endpoint, too, and nowhere else. It is an abstract unix socket for
the same user and root, named overlap/v1/ and the instance:
  name=$(server status --json | jq -r '.[] | select(.release == "v2") | .instance')
  curl -s --abstract-unix-socket "overlap/v1/$name" \
    'http://x/debug/pprof/profile?seconds=10' -o cpu.pprof
  go tool pprof -top cpu.pprof`

const metricsExample = `  server metrics
  server metrics --release v2 | grep overlap_http_requests_total`

func newMetricsVerb() *cobra.Command {
	var which choosing
	cmd := &cobra.Command{
		Use:     "metrics",
		Short:   "Print the metrics of all instances, or of some",
		Long:    metricsHelp,
		Example: metricsExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printMetrics(cmd.OutOrStdout(), which)
		},
	}
	cmd.SetContext(context.Background())
	which.flags(cmd)
	return cmd
}

// printMetrics prints those of the instances that are meant.
func printMetrics(w io.Writer, which choosing) error {
	asked, silent, err := metrics.Print(w, askTimeout, which.means)
	switch {
	case err != nil:
		return err
	case asked == 0:
		return errNoInstance
	case silent > 0:
		return errors.New("an instance does not answer: see overlap_sibling_up")
	}
	return nil
}
