package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ba995850/overlap/internal/control"
	"github.com/spf13/cobra"
)

// askTimeout is how long an instance may take to say how it is. One that takes longer is
// shown all the same.
const askTimeout = 2 * time.Second

const statusHelp = `Show all instances in this network namespace that run as your user, of whatever
program has overlap in it. root sees those of all users.

  STATE     starting, dark, serving, retiring (and its phase, and when it cuts), drained;
            "no answer": the process is stopped, or hangs; "stranger": it listens beside an
            instance and is none, or has no endpoint, so that it takes a share unseen
  ROTATION  whether it is pinned, on each of its ports: only pinned instances get new
            connections
  BUSY      connections on which a request is being answered, or that are hijacked
  OLDEST    for how long the oldest of those requests has been in flight: since its header
            was read, to the end of the answer. On HTTP/2 each stream is one
  IDLE      all others
  QUEUE     connections, and handshakes, that the kernel holds for it
  ANSWERED  requests so far

Exit code 1 where there is none. With --watch it is shown again and again, until Ctrl-C:
on a terminal in place, elsewhere one table behind the other, with an empty line between,
and with --json an array on each line. On a terminal states have colours, unless NO_COLOR
is set.`

const statusExample = `  server status
  server status --watch
  server status --json | jq -r '.[] | select(.state == "serving") | .release'`

func newStatus(env env) *cobra.Command {
	m := monitor{view: view{out: env.stdout, colour: paintsOn(env.stdout, env.getenv)}}
	var watch bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show which instances there are, and what each of them is doing",
		Long:    statusHelp,
		Example: statusExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if m.every < minWatch {
				return usageError{fmt.Errorf("--every %v is less than %v; see %s --help", m.every, minWatch, cmd.CommandPath())}
			}
			m.inPlace = isTerminal(env.stdout) && !m.asJSON && env.getenv("TERM") != "dumb"
			if watch {
				return m.run(cmd.Context())
			}
			all, err := findAll(cmd.Context(), askTimeout)
			if err != nil {
				return err
			}
			return m.view.print(all)
		},
	}
	cmd.SetContext(context.Background())
	cmd.Flags().BoolVar(&m.asJSON, "json", false, "an array of objects")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again and again, on a terminal in place, until Ctrl-C")
	cmd.Flags().DurationVar(&m.every, "every", time.Second, "with --watch, how often")
	return cmd
}

// view is how instances are shown, and where.
type view struct {
	out     io.Writer
	asJSON  bool
	colour  bool
	inPlace bool // on a screen
}

// painter returns what marks the states in a table with this header.
func (v view) painter(header string) func(line string) string {
	if !v.colour {
		return plain
	}
	return newPainter(header).paint
}

// print returns errNoInstance where there is none.
func (v view) print(all []control.Found) (err error) {
	if v.asJSON {
		err = json.NewEncoder(v.out).Encode(statusObjects(all))
	} else if len(all) > 0 {
		lines := table(all, time.Now())
		paint := v.painter(lines[0])
		for i, line := range lines {
			lines[i] = paint(line) + "\n"
		}
		_, err = io.WriteString(v.out, strings.Join(lines, ""))
	}
	if err == nil && len(all) == 0 {
		return errNoInstance
	}
	return err
}

var errNoInstance = fmt.Errorf("no instance of yours runs in this network namespace")

// statusObject is an instance, with what is wrong with it.
type statusObject struct {
	control.Status
	Error string `json:"error,omitempty"`
}

func statusObjects(all []control.Found) []statusObject {
	objects := make([]statusObject, len(all))
	for i, f := range all {
		objects[i] = statusObject{Status: f.Status}
		if f.Err != nil {
			objects[i].Error = f.Err.Error()
		}
	}
	return objects
}

// noAnswer is the state of one that does not say how it is.
const noAnswer = "no answer"

// table returns a header, and a line for each.
func table(all []control.Found, now time.Time) (lines []string) {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RELEASE\tPID\tSTATE\tROTATION\tADDR\tBUSY\tOLDEST\tIDLE\tQUEUE\tANSWERED\tUP\tTIER")
	for _, f := range all {
		if f.Err != nil {
			fmt.Fprintf(t, "?\t%s\t%s\t\t\t\t\t\t\t\t\t\n", pidOf(f), noAnswer)
			continue
		}
		if f.State == stateStranger {
			fmt.Fprintf(t, "?\t%s\t%s: %s\t\t%s\t\t\t\t\t\t\t\n", pidOf(f), f.State, cmp.Or(f.Program, "not seen from here"), f.Addr)
			continue
		}
		c := f.Connections
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%v\t%s\n", titleOf(f.Status), f.PID, stateOf(f.Status, now), rotationOf(f.Status),
			f.Addr, c.Active+c.Hijacked, oldestOf(f.Status), c.Fresh+c.Idle+c.Closing, queueOf(f.Status), f.Requests, now.Sub(f.Started).Round(time.Second), f.Tier)
	}
	t.Flush() // a builder takes all
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
}

// pidOf is no number where nobody knows it.
func pidOf(f control.Found) string {
	if f.PID == 0 {
		return "?"
	}
	return strconv.Itoa(f.PID)
}

func stateOf(s control.Status, now time.Time) string {
	if s.Phase == "" {
		return s.State
	}
	return fmt.Sprintf("%s: %s, cuts in %v", s.State, s.Phase, max(0, s.Deadline.Sub(now)).Round(time.Second))
}

// rotationOf is one word for all ports, or one for each.
func rotationOf(s control.Status) string {
	words := make([]string, len(s.Ports))
	for i, p := range s.Ports {
		words[i] = "out"
		if p.Pinned {
			words[i] = "in"
		}
	}
	for _, word := range words[min(1, len(words)):] {
		if word != words[0] {
			return strings.Join(words, ",")
		}
	}
	return strings.Join(words[:min(1, len(words))], "")
}

// oldestOf is nothing where no request is in flight.
func oldestOf(s control.Status) string {
	if s.Oldest == 0 {
		return ""
	}
	return time.Duration(s.Oldest * float64(time.Second)).Round(time.Second / 10).String()
}

func queueOf(s control.Status) (sum int) {
	for _, p := range s.Ports {
		sum += p.HalfOpen + p.Queued
	}
	return sum
}
