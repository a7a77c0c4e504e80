package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ba995850/overlap/bench/internal/peer"
	"github.com/ba995850/overlap/bench/wire"
)

// config is what the flags say.
type config struct {
	scenario string // its name, or nothing

	upgrades    int
	rest        time.Duration
	retire      string
	overlapNext bool
	signal      string // how a release is told to leave: TERM; or KILL, which tells nobody
	blind       bool   // the servers do not see /proc, and cannot steer
	sysctls     []sysctl
	linger      time.Duration
	server      string
	addr        string
	ipv6        bool
	tls         bool
	ticketKeys  bool
	h2c         bool
	front       string
	wire        *wire.Spec // nil: none
	rival       *peer.Peer // nil: a server of ours
	compared    bool       // it is what overlap is compared with, and may lose

	url      *url.URL
	duration time.Duration

	loads   []kind
	clients int
	pace    float64
	timeout time.Duration
	seed    uint64

	json bool
	raw  string // file for raw results; empty: none

	settings map[string]string // all flags, as they were said

	shows string // the count without which the run is not what its scenario says
	loses bool   // it has to lose something
}

// sysctl is one of the servers' network.
type sysctl struct{ name, value string }

// What a wire asks for. Nine losses in a row, from a RTO of 200ms on, take 100s. And a
// connection whose SYN-ACK was sent again believes in a round trip of a second more: then
// a first request that is lost three times is 14s late, and must not find it closed.
const (
	wireTimeout = 2 * time.Minute
	wireLinger  = 20 * time.Second
)

const help = `Bench upgrades a service under load and counts every request. It needs nothing but Go; a network of its
own, as --wire and some scenarios have, takes root or unshare -r.

It builds the server, starts it as release v1, sends requests on connections of several kinds,
and upgrades to v2, v3, … as an operator would. No request is ever tried twice. At the end it says
what became of each one, how long they took, and whether the servers' verdicts agree.

  go run ./bench                          five upgrades at a fixed pace, about 15 seconds
  go run ./bench --closed                 as fast as answers come back
  go run ./bench --retire plain           close and Shutdown, no steering: this loses requests
                                          (a closed loop, unless there is a --pace)
  go run ./bench --overlap-next           do not wait for an exit before the next upgrade
  go run ./bench --load new --clients 64  only new connections, 64 at a time
  go run ./bench --list                   the scenarios: TLS, HTTP/2, WebSockets, proxies in front, full queues …
  go run ./bench --scenario h2,nginx      some of them, one after the other; the other flags override
  go run ./bench --wire 80ms,1% --clients 400
                                          over a network with a round trip of 80ms that loses 1% of
                                          the packets of each direction (as root, or under unshare -r);
                                          also: 80ms,1%,jitter=5ms,reorder=1%
  go run ./bench --url http://HOST:PORT --duration 60s
                                          a running service, upgraded by hand meanwhile;
                                          its header "Release" tells the releases apart

  go run ./bench --peers all              nginx, HAProxy, Caddy, gunicorn and others beside it, each upgraded
                                          as its manual says: a table of what each loses, 4 minutes
  go run ./bench --raw run.gz             keep every request, and make reports of it again and again:
  go run ./bench report --help            text, HTML, SVG, benchstat, JSON

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
	scenarios  string
	peers      string
	list       bool
	loads, url string
	closed     bool
	given      map[string]bool // the flags that were given, by name
}

func flags(c *config) (*flag.FlagSet, *raw) {
	r := &raw{given: map[string]bool{}}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // run says what is wrong, in one line
	fs.StringVar(&r.scenarios, "scenario", "", "run these scenarios, by `name`: flags that belong together")
	fs.StringVar(&r.peers, "peers", "", "other systems under the same load, by `name`, or all: "+strings.Join(peer.Names(), ","))
	fs.BoolVar(&r.list, "list", false, "list the scenarios")
	fs.IntVar(&c.upgrades, "upgrades", 5, "how many upgrades in a row")
	fs.DurationVar(&c.rest, "rest", 2*time.Second, "steady load before each upgrade, and after the last")
	fs.StringVar(&c.retire, "retire", "graceful", "how a release leaves: graceful, or plain (which loses requests)")
	fs.BoolVar(&c.overlapNext, "overlap-next", false, "start the next upgrade while releases before still linger")
	fs.StringVar(&c.signal, "signal", "TERM", "what a release is sent: TERM, or KILL, which loses requests")
	fs.BoolVar(&c.blind, "blind", false, "the servers do not see /proc, and so cannot steer: this loses requests (as root, or under unshare -r)")
	fs.Func("sysctl", "`name=value` in the servers' network, with --wire; can be repeated", c.addSysctl)
	fs.DurationVar(&c.linger, "linger-timeout", time.Second, "how long a server lets a kept connection idle before it closes it")
	fs.StringVar(&c.server, "server", "", "`path` of a server that is already built")
	fs.StringVar(&c.addr, "addr", "127.0.0.1:0", "where the servers listen; port 0 picks a free one")
	fs.BoolVar(&c.ipv6, "ipv6", false, "listen on [::1] instead")
	fs.BoolVar(&c.tls, "tls", false, "the servers speak TLS, and all clients do")
	fs.BoolVar(&c.ticketKeys, "ticket-keys", true, "with --tls: the releases share the keys of session tickets")
	fs.BoolVar(&c.h2c, "h2c", false, "the servers speak HTTP/2 in clear too")
	fs.StringVar(&c.front, "front", "", "a `proxy` between clients and servers: "+proxyNames())
	fs.Func("wire", "a `network` between clients and servers: round trip, loss each way, jitter, packets out of order; see above", func(text string) error {
		spec, err := wire.Parse(text)
		c.wire = &spec
		return err
	})
	fs.StringVar(&r.url, "url", "", "drive the service at this `address` instead of servers of our own")
	fs.DurationVar(&c.duration, "duration", time.Minute, "with --url: for how long, unless interrupted")
	fs.StringVar(&r.loads, "load", usualLoads(), "which loads, by name")
	fs.IntVar(&c.clients, "clients", 16, "connections of each load")
	fs.Float64Var(&c.pace, "pace", 2000, "`requests` per second, split over the loads that do not think; 0 is --closed")
	fs.BoolVar(&r.closed, "closed", false, "closed loop: each client sends when it has its answer")
	fs.DurationVar(&c.timeout, "timeout", 5*time.Second, "a request without its whole answer by then has failed")
	fs.Uint64Var(&c.seed, "seed", 1, "the same seed gives the same bodies and pauses")
	fs.StringVar(&c.raw, "raw", "", "write all that was seen to this new `file`, for \"bench report\"")
	fs.BoolVar(&c.json, "json", false, "the report as JSON on stdout; the text goes to stderr")
	return fs, r
}

// parse returns what is to be run, one after the other.
func parse(args []string) ([]config, error) {
	c, r, err := read(nil, args)
	if err != nil {
		return nil, err
	}
	if r.list {
		return nil, errList
	}
	if r.peers != "" {
		return withRivals(r.peers, args)
	}
	if r.scenarios == "" {
		return []config{c}, c.finish(r)
	}
	picked, err := pickScenarios(r.scenarios)
	if err != nil {
		return nil, err
	}
	var all []config
	for _, s := range picked {
		c, r, err := read(strings.Fields(s.flags), args)
		if err == nil {
			err = c.finish(r)
		}
		if err != nil {
			return nil, fmt.Errorf("scenario %s: %w", s.name, err)
		}
		c.scenario, c.shows, c.loses = s.name, s.shows, s.loses
		all = append(all, c)
	}
	return all, nil
}

// errList means that nothing is to be run but the scenarios to be listed.
var errList = errors.New("list the scenarios")

// read reads a scenario's flags, and over them those of the command line.
func read(scenario, args []string) (config, *raw, error) {
	var c config
	fs, r := flags(&c)
	for _, args := range [][]string{scenario, args} {
		if err := fs.Parse(args); err != nil {
			return c, r, err
		}
		if fs.NArg() > 0 {
			return c, r, fmt.Errorf("read the flags: %q is none", fs.Arg(0))
		}
	}
	c.settings = map[string]string{}
	fs.VisitAll(func(f *flag.Flag) { c.settings[f.Name] = f.Value.String() })
	fs.Visit(func(f *flag.Flag) { r.given[f.Name] = true })
	return c, r, nil
}

func (c *config) finish(r *raw) error {
	if err := c.complete(r); err != nil {
		return err
	}
	return c.validate(r)
}

func (c *config) complete(r *raw) (err error) {
	c.slowDown(r)
	// What plain retirement loses is what is under way just then. At the
	// default pace that is one request or two, and by chance it is none.
	if r.closed || c.retire == "plain" && !r.given["pace"] {
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

func (c *config) addSysctl(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || !strings.HasPrefix(name, "net.") {
		return errors.New("say net.NAME=VALUE")
	}
	c.sysctls = append(c.sysctls, sysctl{name, value})
	return nil
}

// slowDown lets a wire take its time, unless the flags say otherwise: what it only delays
// is no loss. A packet that is lost again and again comes after RTO, 3 RTO, 7 RTO …, and
// the round trip is a pace already.
func (c *config) slowDown(r *raw) {
	if c.wire == nil {
		return
	}
	if !r.given["timeout"] {
		c.timeout = wireTimeout
	}
	if !r.given["linger-timeout"] {
		c.linger = wireLinger
	}
	if !r.given["pace"] {
		c.pace = 0
	}
}

func (c *config) validate(r *raw) error {
	switch {
	case c.retire != "graceful" && c.retire != "plain":
		return fmt.Errorf("read --retire %s: say graceful or plain", c.retire)
	case c.signal != "TERM" && c.signal != "KILL":
		return fmt.Errorf("read --signal %s: say TERM or KILL", c.signal)
	case len(c.sysctls) > 0 && c.wire == nil:
		return fmt.Errorf("read --sysctl %s: only a network of our own may be set, with --wire", c.sysctls[0].name)
	case c.url != nil && (c.blind || c.signal != "TERM"):
		return errors.New("read the flags: --signal and --blind are for servers of our own, leave out --url")
	case c.clients < 1:
		return fmt.Errorf("read --clients %d: at least one is needed", c.clients)
	case c.upgrades < 0 || c.pace < 0 || c.rest < 0 || c.duration <= 0 || c.timeout <= 0:
		return fmt.Errorf("read the flags: a negative number, or no time at all, has no meaning here")
	case c.wire != nil && (c.url != nil || c.front != "" || c.ipv6 || r.given["addr"]):
		return fmt.Errorf("read --wire %v: it has addresses of its own, for servers of our own: leave out --url, --front, --ipv6 and --addr", c.wire)
	case c.url == nil && c.retire == "graceful" && c.linger <= longestIdle(*c):
		// No server can win this race: it must close the idle connection at
		// some time, and the client's next request may be on its way just then.
		return fmt.Errorf("read --linger-timeout %v: it must be longer than connections are idle here, up to %v", c.linger, longestIdle(*c))
	}
	if err := c.validatePeers(r); err != nil {
		return err
	}
	return c.validateSpeech()
}

// validateSpeech refuses loads that the service would not understand.
func (c *config) validateSpeech() error {
	for _, k := range c.loads {
		switch {
		case k.needs.tls && !c.tls:
			return fmt.Errorf("read --load %s: it needs --tls", k.name)
		case k.needs.http2 && !c.tls && !c.h2c:
			return fmt.Errorf("read --load %s: it needs --tls or --h2c", k.name)
		}
	}
	switch {
	case c.tls && c.url != nil:
		return fmt.Errorf("read --tls: a service at --url is driven in clear only")
	case c.front != "" && (c.url != nil || c.tls || c.h2c):
		return fmt.Errorf("read --front %s: it stands before servers of our own, and speaks HTTP/1 in clear", c.front)
	}
	if c.front != "" && proxyNamed(c.front) == nil {
		return fmt.Errorf("read --front: no proxy is called %q, there are %s", c.front, proxyNames())
	}
	return nil
}

// String says what is measured, and on what: numbers mean nothing without.
func (c config) String() string {
	pace := fmt.Sprintf("%v requests/s", c.pace)
	if c.pace == 0 {
		pace = "closed loop"
	}
	if c.wire != nil {
		pace += fmt.Sprintf("; over a wire of %v", c.wire)
	}
	if c.scenario != "" {
		pace += "; scenario " + c.scenario
	}
	if c.compared {
		pace += ": " + c.said()
	}
	return fmt.Sprintf("%d clients each of %s; %s; seed %d; %d CPUs, %s/%s, %s",
		c.clients, strings.ReplaceAll(namesOf(c.loads), ",", ", "), pace, c.seed, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
