// Bench proves, or disproves, that an upgrade loses no request.
//
//	go run ./bench
//
// It builds the server as releases v1, v2, …, puts load on the first, upgrades
// five times as an operator would (start the next, wait until it answers,
// SIGTERM the one before, wait for its exit) and ends with the accounting: what
// was sent is what each release answered plus what failed, by class, and the
// servers' own verdicts must say the same. It exits with 1 when one request is lost.
//
// The client never tries twice, because a client that does cannot see a loss:
// `go run ./bench --retire plain` leaves out what this project adds, and must fail.
// It talks to the built binary over the wire and imports nothing of the product.
//
// Where to read on: upgrade.go tells the story of a run, client.go is the one
// exchange that everything counts. What a run brought to light is internal/evidence,
// with --raw also in a file; internal/report draws the sums, internal/page the pictures.
// Both know the evidence only, so they are made again whenever somebody wants them.
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

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/report"
)

func main() {
	// SIGPIPE, too: whoever stops reading, such as head, must not leave servers behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	code := run(ctx, env{os.Stdout, os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// env is what the program touches of its surroundings.
type env struct {
	stdout, stderr io.Writer
}

// The exit codes.
const (
	exitLossless = 0
	exitLost     = 1 // or it could not run
	exitUsage    = 2
)

func run(ctx context.Context, env env, args []string) int {
	if len(args) > 0 {
		switch args[0] {
		case "report":
			return reportAgain(env, args[1:])
		case "soak":
			return soakServers(ctx, env, args[1:])
		case "cost":
			return measureCost(ctx, env, args[1:])
		}
	}
	configs, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printHelp(env.stdout)
		return exitLossless
	case errors.Is(err, errList):
		printScenarios(env.stdout)
		return exitLossless
	case err != nil:
		fmt.Fprintf(env.stderr, "bench: %v (see --help)\n", err)
		return exitUsage
	}
	raw, err := createRaw(configs[0].raw, args)
	if err != nil {
		fmt.Fprintf(env.stderr, "bench: %v\n", err)
		return exitLost
	}
	worst := runAll(ctx, env, configs, raw)
	if err := raw.close(); err != nil {
		fmt.Fprintf(env.stderr, "bench: %v\n", err)
		return exitLost
	}
	return worst
}

// runAll makes one run after the other, and returns the worst exit code.
func runAll(ctx context.Context, env env, configs []config, raw *rawFile) int {
	worst := exitLossless
	var reports []report.Report
	for _, cfg := range configs {
		r, code, err := cfg.run(ctx, env, raw)
		if err != nil {
			fmt.Fprintf(env.stderr, "bench: %v\n", err)
		}
		worst = max(worst, code)
		reports = append(reports, r)
		if ctx.Err() != nil {
			break
		}
	}
	report.Compare(reports).Print(configs[0].textOf(env))
	return worst
}

// textOf is where what is to be read goes.
func (c config) textOf(env env) io.Writer {
	if c.json {
		return env.stderr
	}
	return env.stdout
}

// run drives the load, wherever it goes to, and reports.
func (c config) run(ctx context.Context, env env, raw *rawFile) (report.Report, int, error) {
	text := c.textOf(env)
	fmt.Fprintf(text, "%v\n\n", c)
	seen, failure := c.drive()(ctx, c, text)
	if failure != nil && (c.rival == nil || ctx.Err() != nil) {
		return report.Report{}, exitLost, failure
	}
	r := report.Of(seen)
	report.Print(text, r)
	if err := raw.add(seen); err != nil {
		return r, exitLost, err
	}
	if c.json {
		if err := printJSON(env.stdout, r); err != nil {
			return r, exitLost, err
		}
	}
	return r, c.exitCode(r, failure), failure
}

// drive returns what makes the run.
func (c config) drive() func(context.Context, config, io.Writer) (evidence.Run, error) {
	switch {
	case c.rival != nil:
		return challenge
	case c.url != nil:
		return visit
	}
	return upgrade
}

// exitCode says whether the run came out as it should. What overlap is compared with may lose what
// it loses, but it must be there to do so, or not be installed.
func (c config) exitCode(r report.Report, failure error) int {
	if failure != nil || !c.compared && !r.Passed() {
		return exitLost
	}
	return exitLossless
}
