package main

import (
	"flag"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// config is what the flags say.
type config struct {
	upgrades    int
	rest        time.Duration
	retire      string
	overlapNext bool
	linger      time.Duration
	server      string
	addr        string
	ipv6        bool

	url      *url.URL
	duration time.Duration

	loads   []kind
	clients int
	pace    float64
	timeout time.Duration
	seed    uint64

	json bool
}

const help = `Bench upgrades a service under load and counts every request. It needs nothing but Go.

It builds the server, starts it as release v1, sends requests on connections of several kinds,
and upgrades to v2, v3, … as an operator would. No request is ever tried twice. At the end it says
what became of each one, how long they took, and whether the servers' verdicts agree.

  go run ./bench                          five upgrades at a fixed pace, about 15 seconds
  go run ./bench --closed                 as fast as answers come back
  go run ./bench --retire plain           close and Shutdown, no steering: this loses requests
                                          (a closed loop, unless there is a --pace)
  go run ./bench --overlap-next           do not wait for an exit before the next upgrade
  go run ./bench --load new --clients 64  only new connections, 64 at a time
  go run ./bench --url http://HOST:PORT --duration 60s
                                          a running service, upgraded by hand meanwhile;
                                          its header "Release" tells the releases apart

Exit code: 0 nothing was lost, 1 something was or it could not run, 2 usage.

`

func printHelp(w io.Writer) {
	fmt.Fprint(w, help, "Flags:\n")
	fs, _ := flags(new(config))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fs.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(table, "  --%s %s\t%s\t%s\n", f.Name, value, f.DefValue, usage)
	})
	fmt.Fprint(table, "\nLoads:\n")
	for _, k := range kinds {
		fmt.Fprintf(table, "  %s\t\t%s\n", k.name, k.what)
	}
	table.Flush()
}

// raw holds the flags that are not yet what they mean.
type raw struct {
	loads, url string
	closed     bool
	paced      bool // --pace was given
}

func flags(c *config) (*flag.FlagSet, *raw) {
	r := new(raw)
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // run says what is wrong, in one line
	fs.IntVar(&c.upgrades, "upgrades", 5, "how many upgrades in a row")
	fs.DurationVar(&c.rest, "rest", 2*time.Second, "steady load before each upgrade, and after the last")
	fs.StringVar(&c.retire, "retire", "graceful", "how a release leaves: graceful, or plain (which loses requests)")
	fs.BoolVar(&c.overlapNext, "overlap-next", false, "start the next upgrade while releases before still linger")
	fs.DurationVar(&c.linger, "linger-timeout", time.Second, "how long a server lets a kept connection idle before it closes it")
	fs.StringVar(&c.server, "server", "", "`path` of a server that is already built")
	fs.StringVar(&c.addr, "addr", "127.0.0.1:0", "where the servers listen; port 0 picks a free one")
	fs.BoolVar(&c.ipv6, "ipv6", false, "listen on [::1] instead")
	fs.StringVar(&r.url, "url", "", "drive the service at this `address` instead of servers of our own")
	fs.DurationVar(&c.duration, "duration", time.Minute, "with --url: for how long, unless interrupted")
	fs.StringVar(&r.loads, "load", allLoads(), "which loads, by name")
	fs.IntVar(&c.clients, "clients", 16, "connections of each load")
	fs.Float64Var(&c.pace, "pace", 2000, "`requests` per second, split over the loads that do not think; 0 is --closed")
	fs.BoolVar(&r.closed, "closed", false, "closed loop: each client sends when it has its answer")
	fs.DurationVar(&c.timeout, "timeout", 5*time.Second, "a request without its whole answer by then has failed")
	fs.Uint64Var(&c.seed, "seed", 1, "the same seed gives the same bodies and pauses")
	fs.BoolVar(&c.json, "json", false, "the report as JSON on stdout; the text goes to stderr")
	return fs, r
}

func parse(args []string) (config, error) {
	var c config
	fs, r := flags(&c)
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if fs.NArg() > 0 {
		return c, fmt.Errorf("read the flags: %q is none", fs.Arg(0))
	}
	fs.Visit(func(f *flag.Flag) { r.paced = r.paced || f.Name == "pace" })
	if err := c.complete(r); err != nil {
		return c, err
	}
	return c, c.validate()
}

func (c *config) complete(r *raw) (err error) {
	// What plain retirement loses is what is under way just then. At the
	// default pace that is one request or two, and by chance it is none.
	if r.closed || c.retire == "plain" && !r.paced {
		c.pace = 0
	}
	if c.ipv6 {
		c.addr = "[::1]:0"
	}
	if c.loads, err = pick(r.loads); err != nil {
		return err
	}
	if r.url == "" {
		return nil
	}
	c.url, err = url.Parse(r.url)
	if err != nil {
		return fmt.Errorf("read --url: %w", err)
	}
	if c.url.Scheme != "http" || c.url.Host == "" {
		return fmt.Errorf("read --url %s: only http://HOST:PORT is understood", r.url)
	}
	return nil
}

func (c *config) validate() error {
	switch {
	case c.retire != "graceful" && c.retire != "plain":
		return fmt.Errorf("read --retire %s: say graceful or plain", c.retire)
	case c.clients < 1:
		return fmt.Errorf("read --clients %d: at least one is needed", c.clients)
	case c.upgrades < 0 || c.pace < 0 || c.rest < 0 || c.duration <= 0 || c.timeout <= 0:
		return fmt.Errorf("read the flags: a negative number, or no time at all, has no meaning here")
	case c.url == nil && c.retire == "graceful" && c.linger <= longestIdle(*c):
		// No server can win this race: it must close the idle connection at
		// some time, and the client's next request may be on its way just then.
		return fmt.Errorf("read --linger-timeout %v: it must be longer than connections are idle here, up to %v", c.linger, longestIdle(*c))
	}
	return nil
}

// String says what is measured, and on what: numbers mean nothing without.
func (c config) String() string {
	pace := fmt.Sprintf("%v requests/s", c.pace)
	if c.pace == 0 {
		pace = "closed loop"
	}
	var names []string
	for _, k := range c.loads {
		names = append(names, k.name)
	}
	return fmt.Sprintf("%d clients each of %s; %s; seed %d; %d CPUs, %s/%s, %s",
		c.clients, strings.Join(names, ", "), pace, c.seed, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
