package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/ba995850/overlap/bench/internal/cost"
)

const costHelp = `Cost measures what overlap costs while nobody is upgraded: throughput, CPU and memory, beside
net/http and gin without it, nginx and HAProxy, all of which answer the same bytes on this host, and
the bare kernel, which is asked only for what each answer needs. Then the service is upgraded: for the
memory of two releases at a time, and beside what the kernel alone takes, a membarrier and a handshake.

  go run ./bench cost

They take turns of half a second, and are compared with net/http round by round: of the figures the
ratios count. Client and servers share the cores. It takes about three minutes.

Exit code: 0 it was measured, whatever came of it; 1 it could not be; 2 usage.

`

// measureCost is the verb.
func measureCost(ctx context.Context, env env, args []string) int {
	var p cost.Plan
	fs := costFlags(&p)
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printCostHelp(env.stdout)
		return exitLossless
	case err == nil && fs.NArg() > 0:
		err = fmt.Errorf("%q is no flag", fs.Arg(0))
	case err == nil && (p.Rounds < 1 || p.Span <= 0 || p.Clients < 1 || p.Idle < 1):
		err = errors.New("less than one of something cannot be measured")
	}
	if err != nil {
		fmt.Fprintf(env.stderr, "bench cost: %v (see --help)\n", err)
		return exitUsage
	}
	if err := runCost(ctx, env, p); err != nil {
		fmt.Fprintf(env.stderr, "bench cost: %v\n", err)
		return exitLost
	}
	return exitLossless
}

func costFlags(p *cost.Plan) *flag.FlagSet {
	fs := flag.NewFlagSet("bench cost", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // measureCost says what is wrong, in one line
	fs.IntVar(&p.Rounds, "rounds", 15, "how many turns each has")
	fs.DurationVar(&p.Span, "span", 500*time.Millisecond, "how long a turn is")
	fs.IntVar(&p.Clients, "clients", 16, "that ask at a time, each as soon as it has its answer")
	fs.IntVar(&p.Idle, "idle", 10_000, "idle connections, for the memory of one")
	return fs
}

func printCostHelp(w io.Writer) {
	fmt.Fprint(w, costHelp, "Flags:\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	costFlags(new(cost.Plan)).VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(table, "  --%s %s\t%s\t%s\n", f.Name, value, f.DefValue, usage)
	})
	table.Flush()
}

// runCost builds what has to be built, measures, and prints.
func runCost(ctx context.Context, env env, p cost.Plan) error {
	dir, err := os.MkdirTemp("", "overlap-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p.Built = cost.Built{Server: filepath.Join(dir, "server"), Plain: filepath.Join(dir, "plain")}
	if err := build(ctx, p.Built.Server); err != nil {
		return err
	}
	if err := buildPlain(ctx, p.Built.Plain); err != nil {
		return err
	}
	figures, err := p.Measure(ctx, env.stderr)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	return figures.Print(env.stdout)
}

// buildPlain builds what is a module of its own, so that our go.mod does not say what it needs.
func buildPlain(ctx context.Context, binary string) error {
	where := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/ba995850/overlap/bench")
	dir, err := where.Output()
	if err != nil {
		return fmt.Errorf("find bench/plain: %w (run this inside a checkout)", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(string(dir[:len(dir)-1]), "plain"), "-o", binary, ".")
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build bench/plain: %w\n%s", err, out)
	}
	return nil
}
