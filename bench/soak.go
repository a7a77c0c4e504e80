package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ba995850/overlap/bench/internal/report"
)

const soakHelp = `Soak upgrades, crashes and loads a service at random, for as long as you like. One lost request
ends it.

  go run ./bench soak --for 8h
  go run ./bench soak --seed 7 --for 2m        the same episodes again
  go run ./bench soak --seed 7 --episode 13    one of them
  go run ./bench soak --retire plain           this loses requests, and shows what is left behind then

It is one episode after the other: servers of one port, clients, upgrades, and what may happen around
them. All of it is drawn from the seed and the number of the episode. When a request is lost, or a server's
word differs from what the clients saw, it leaves a directory, and names it: the packets, for tcpdump -r
or Wireshark; the logs of all releases; the raw results, for "bench report"; the seed and the command
to repeat it. When nothing is lost it leaves nothing. Ctrl-C ends it, and it says what was done so far.

Exit code: 0 nothing was lost, in one whole episode or more; 1 something was, or it could not run; 2 usage.

`

// soak is what its flags say, and what it has come to.
type soak struct {
	lasting time.Duration
	seed    uint64
	only    int // the number of the only episode; 0: all
	packets bool
	into    string // where the directory of evidence goes
	retire  string
	server  string // that is given; empty: none
	built   string

	env   env
	clock clock
	dir   string // of evidence; while nothing is lost it holds what the episode under way may need
	sum   soakSum
}

func (s *soak) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("bench soak", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // soakServers says what is wrong, in one line
	fs.DurationVar(&s.lasting, "for", 10*time.Minute, "begin no episode after this `time`; one takes up to half a minute")
	fs.Uint64Var(&s.seed, "seed", 0, "the same seed draws the same episodes; 0 is one by chance, which is said")
	fs.IntVar(&s.only, "episode", 0, "only the episode with this `number`")
	fs.BoolVar(&s.packets, "packets", true, "record the packets on the loopback interface, by tcpdump, as root")
	fs.StringVar(&s.into, "into", os.TempDir(), "the `directory` in which a new one is made for what is left behind")
	fs.StringVar(&s.retire, "retire", "graceful", "how a release leaves: graceful, or plain (which loses requests)")
	fs.StringVar(&s.server, "server", "", "`path` of a server that is already built")
	return fs
}

// soakServers is the verb.
func soakServers(ctx context.Context, env env, args []string) int {
	s := &soak{env: env, clock: clock{time.Now()}}
	fs := s.flags()
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printSoakHelp(env.stdout)
		return exitLossless
	case err == nil && fs.NArg() > 0:
		err = fmt.Errorf("%q is no flag", fs.Arg(0))
	case err == nil && (s.lasting <= 0 || s.only < 0):
		err = errors.New("less than one episode proves nothing")
	case err == nil && s.retire != "graceful" && s.retire != "plain":
		err = fmt.Errorf("read --retire %s: say graceful or plain", s.retire)
	case err == nil && s.only > 0 && s.seed == 0:
		err = fmt.Errorf("read --episode %d: say of which --seed", s.only)
	}
	if err != nil {
		fmt.Fprintf(env.stderr, "bench soak: %v (see --help)\n", err)
		return exitUsage
	}
	if s.seed == 0 {
		s.seed = uint64(rand.Uint32()) + 1
	}
	if err := s.run(ctx); err != nil {
		fmt.Fprintf(env.stderr, "bench soak: %v\n", err)
		return exitLost
	}
	return exitLossless
}

func printSoakHelp(w io.Writer) {
	fmt.Fprint(w, soakHelp, "Flags:\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	new(soak).flags().VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(table, "  --%s %s\t%s\t%s\n", f.Name, value, f.DefValue, usage)
	})
	fmt.Fprintf(table, "\nWhat may happen, besides upgrades:\n  %s\t\t%s\n", crashed, "the only release is killed while there is no load, and the next one gets the port")
	for _, m := range misfortunes {
		fmt.Fprintf(table, "  %s\t\t%s\n", m.name, m.what)
	}
	table.Flush()
}

// run prepares, makes the episodes, and says the sum.
func (s *soak) run(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp(s.into, "overlap-soak-"); err != nil {
		return fmt.Errorf("make a directory for the evidence: %w", err)
	}
	left := false
	defer func() {
		if !left {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	lost, err := s.episodes(ctx)
	s.sum.print(s.env.stdout, s.clock.now())
	if lost {
		left = true
		fmt.Fprintf(s.env.stdout, "FAIL: see %s\n", s.dir)
		return err
	}
	switch {
	case errors.Is(err, errInterrupted) && s.sum.episodes > 0:
		fmt.Fprintln(s.env.stdout, "PASS: nothing was lost until then")
		return nil
	case err == nil:
		fmt.Fprintln(s.env.stdout, "PASS: nothing was lost")
	}
	return err
}

// prepare tries the recording of packets, so that hours do not begin in vain, and builds the server.
func (s *soak) prepare(ctx context.Context) error {
	if s.packets {
		p, err := recordPackets(ctx, filepath.Join(s.dir, "trial"), "127.0.0.1:9", s.clock)
		if err != nil {
			return err
		}
		p.drop()
	}
	fmt.Fprintf(s.env.stdout, "seed %d; preparing the server (a first build takes a while)\n", s.seed)
	if s.built = s.server; s.built != "" {
		return nil
	}
	s.built = filepath.Join(s.dir, "server")
	return build(ctx, s.built)
}

// episodes makes one after the other. It reports whether one of them left evidence.
func (s *soak) episodes(ctx context.Context) (lost bool, err error) {
	for n := max(1, s.only); ; n++ {
		lost, err = s.episode(ctx, draw(s.seed, n))
		switch {
		case lost:
			return true, err
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(s.env.stdout, err)
			return false, err
		case err != nil || s.only > 0 || s.clock.now() >= s.lasting:
			return false, err
		}
	}
}

// soakSum is what all episodes come to.
type soakSum struct {
	episodes, upgrades int            // an episode that is broken off is none
	troubles           map[string]int // misfortunes that struck, by name
	loads              map[string]int // requests, by name
	lost               int
}

func (s *soakSum) add(struck map[string]int, r report.Report, whole bool) {
	if s.troubles == nil {
		s.troubles, s.loads = map[string]int{}, map[string]int{}
	}
	if whole {
		s.episodes++
	}
	s.upgrades += len(r.Handovers)
	for name, n := range struck {
		s.troubles[name] += n
	}
	for _, l := range r.Loads {
		s.loads[l.Name] += l.Sent
	}
	s.loads["probe"] += probesOf(r)
	s.lost += r.Lost()
}

func probesOf(r report.Report) (n int) {
	for _, release := range r.Releases {
		n += release.Probes
	}
	return n + r.ProbesFailed
}

func (s soakSum) print(w io.Writer, took time.Duration) {
	fmt.Fprintf(w, "\n%s, %s, in %v\n", report.Plural(s.episodes, "episode"), report.Plural(s.upgrades, "upgrade"), took.Round(time.Second))
	fmt.Fprintf(w, "misfortunes: %s\n", listed(s.troubles))
	fmt.Fprintf(w, "requests: %s\n", listed(s.loads))
	fmt.Fprintf(w, "lost: %d\n", s.lost)
}

// listed returns names and numbers in the names' order.
func listed(counts map[string]int) string {
	if len(counts) == 0 {
		return "none"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}
