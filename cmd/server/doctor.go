package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/ba995850/overlap/internal/doctor"
	"github.com/spf13/cobra"
)

const doctorHelp = `Say what will not work at an upgrade, before it: look at the kernel, the sandbox, the
limits, and at who listens on the addresses that "server serve" would listen on with the
same flags, environment and file. Each finding comes with its remedy.

It looks, and changes nothing. On the addresses of the service it goes as far as
bind(2), and never listens: no connection comes to it, and no instance notices.

Run it as the service is run: as the same user, with the same settings of its
supervisor. Before an upgrade and in CI are good times. ExecStartPre= of a systemd unit is
no good place: what is a fault at an upgrade is no reason not to start after a crash.`

const doctorExample = `  server doctor --addr :8080
  server doctor --config /etc/app.yaml --strict
  server doctor --json | jq -r '.[] | select(.result == "fault") | .remedy'

  # As a unit of systemd sees it, here one with DynamicUser=yes
  systemd-run --pipe --wait -p DynamicUser=yes -p User=app server doctor --config /etc/app.yaml`

const doctorExit = `Exit codes:
  0     an upgrade will work; there may be warnings
  1     it would fail or lose something, or, with --strict, there is a warning or
        a check that could not look
  2     usage
  78    a configuration that "server serve" would refuse`

// checksHelp lists what is looked at.
func checksHelp() string {
	var b strings.Builder
	b.WriteString("Checks:")
	for _, c := range doctor.Checks() {
		fmt.Fprintf(&b, "\n  %-10s %s", c.Name, c.Means)
	}
	return b.String()
}

func newDoctor(env env) *cobra.Command {
	var (
		cfg            config
		file           string
		asJSON, strict bool
		flags          = cfg.flags()
	)
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Say what will not work at an upgrade, before it",
		Long:    chapters(doctorHelp, checksHelp(), doctorExit),
		Example: doctorExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.load(flags, file, env.getenv); err != nil {
				return configError{err}
			}
			all, err := examine(cmd.Context(), cfg, env.getenv)
			if err != nil {
				return err
			}
			if err := printFindings(cmd.OutOrStdout(), all, asJSON, paintsOn(env.stdout, env.getenv)); err != nil {
				return err
			}
			return sum(all, strict)
		},
	}
	cmd.SetContext(context.Background())
	addConfigFlags(cmd, flags, &file)
	cmd.Flags().BoolVar(&asJSON, "json", false, "an array of objects")
	cmd.Flags().BoolVar(&strict, "strict", false, "exit code 1 for warnings, too")
	return cmd
}

func examine(ctx context.Context, cfg config, getenv func(string) string) ([]doctor.Finding, error) {
	q := doctor.Question{AllowMismatch: cfg.AllowMismatch, AllowStrangers: cfg.AllowStrangers, NotifySocket: getenv("NOTIFY_SOCKET"), Patience: askTimeout}
	addrs, _ := cfg.addresses() // validate has seen that they can be read
	for _, a := range addrs {
		q.Addrs = append(q.Addrs, a.hostport)
	}
	if cfg.AdminAddr != "" {
		q.Addrs = append(q.Addrs, cfg.AdminAddr)
	}
	_, q.Secrets = loadSecrets(cfg)
	return doctor.Examine(ctx, q)
}

// marks are how a result is shown, and its colour by the numbers of ECMA-48.
var marks = map[doctor.Result]struct {
	text   string
	colour int
}{
	doctor.OK: {"ok", 32}, doctor.Unknown: {"?", 33}, doctor.Warning: {"warn", 33}, doctor.Fault: {"FAULT", 31},
}

func printFindings(w io.Writer, all []doctor.Finding, asJSON, colour bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(all)
	}
	about := ""
	for _, f := range all {
		if f.Addr != about && f.Addr != "" {
			fmt.Fprintf(w, "%s\n", f.Addr)
		}
		about = f.Addr
		mark := fmt.Sprintf("%-5s", marks[f.Result].text)
		if colour {
			mark = fmt.Sprintf("\x1b[%dm%s\x1b[0m", marks[f.Result].colour, mark)
		}
		fmt.Fprintf(w, "%s  %-10s %s\n", mark, f.Check, f.Says)
		if f.Remedy != "" {
			fmt.Fprintf(w, "%18s%s\n", "→ ", f.Remedy)
		}
	}
	return nil
}

// sum is an error where an upgrade would not do.
func sum(all []doctor.Finding, strict bool) error {
	count := make(map[doctor.Result]int)
	for _, f := range all {
		count[f.Result]++
	}
	switch {
	case count[doctor.Fault] > 0:
		return fmt.Errorf("an upgrade would fail or lose something: faults: %d", count[doctor.Fault])
	case strict && count[doctor.Warning]+count[doctor.Unknown] > 0:
		return fmt.Errorf("not all is well: warnings: %d, checks that could not look: %d", count[doctor.Warning], count[doctor.Unknown])
	}
	return nil
}
