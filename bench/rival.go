package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/peer"
)

// rivalFlags are what all of a run with --peers have in common, unless the command line says
// otherwise: loads that each system understands, and no pace, because what an upgrade loses is
// what is under way just then.
const rivalFlags = "--load new,keepalive,think --clients 64 --pace 0"

// rivalGiven are the flags that each peer can follow, or that are no matter of theirs.
var rivalGiven = []string{"peers", "load", "clients", "pace", "closed", "upgrades", "rest", "timeout", "seed", "server", "raw", "json"}

// withRivals returns what is to be run for --peers: overlap, the same server without it, and each
// peer, all with the same flags.
func withRivals(names string, args []string) ([]config, error) {
	peers, err := peer.Named(names)
	if err != nil {
		return nil, fmt.Errorf("read --peers: %w", err)
	}
	ours, r, err := read(strings.Fields(rivalFlags), args)
	if err == nil {
		err = ours.finish(r)
	}
	if err != nil {
		return nil, err
	}
	ours.scenario = evidence.Peers
	others := ours
	others.compared = true
	all := []config{ours, others}
	all[1].retire = "plain"
	for i := range peers {
		others.rival = &peers[i]
		all = append(all, others)
	}
	return all, nil
}

// validatePeers refuses what not every peer can do, or would not be compared.
func (c *config) validatePeers(r *raw) error {
	if r.peers == "" {
		return nil
	}
	for name := range r.given {
		if !slices.Contains(rivalGiven, name) {
			return fmt.Errorf("read --%s: with --peers there are only --%s", name, strings.Join(rivalGiven, ", --"))
		}
	}
	for _, k := range c.loads {
		if k.needs.reference {
			return fmt.Errorf("read --load %s: only our own server understands it, not all peers do", k.name)
		}
	}
	return nil
}

// contest is a run of a peer: like a story, but it is told how to upgrade.
type contest struct {
	config
	clock   clock
	text    io.Writer
	site    *peer.Site
	service peer.Service
	load    *load
	seen    evidence.Run
}

// challenge upgrades a peer under load, and returns what was seen. Of one that is missing, or
// fails, it returns that.
func challenge(ctx context.Context, c config, text io.Writer) (evidence.Run, error) {
	x := &contest{config: c, clock: clock{time.Now()}, text: text, seen: evidence.Run{About: c.about()}}
	if why := c.rival.Missing(); why != "" {
		x.seen.Subject.Absent = why
		return x.seen, nil
	}
	err := x.hold(ctx)
	if ctx.Err() != nil {
		return evidence.Run{}, errInterrupted // which is no fault of the peer's
	}
	if err != nil {
		x.seen = evidence.Run{About: x.seen.About} // what it has done until then proves nothing
		why, _, _ := strings.Cut(err.Error(), "\n")
		x.seen.Subject.Absent = "it failed: " + why
	}
	return x.seen, err
}

// hold is the run, from the first start to the end.
func (x *contest) hold(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "overlap-bench-")
	if err != nil {
		return fmt.Errorf("make a directory for %s: %w", x.rival.Name, err)
	}
	defer os.RemoveAll(dir)
	if err := x.prepare(ctx, dir); err != nil {
		return err
	}
	if x.service, err = x.rival.Start(ctx, x.site, releaseName(0)); err != nil {
		return err
	}
	defer x.service.Stop()
	t := target{addr: x.site.Addr, host: x.site.Addr, path: "/", reference: true}
	if err := x.awaitFirst(ctx, newProber(t, dialer{addr: t.addr}, x.config, x.clock)); err != nil {
		return err
	}
	x.say("%s serves on %s", releaseName(0), t.addr)
	x.load = startLoad(ctx, x.config, t, dialer{addr: t.addr, opened: new(atomic.Int64)}, x.clock)
	defer x.load.stop()
	if err := x.upgradeAll(ctx); err != nil {
		return err
	}
	x.seen.Work = x.load.stop()
	x.seen.Moment = "the order to leave"
	x.seen.EndHandovers()
	return nil
}

// prepare finds a place for the peer, and builds what it runs.
func (x *contest) prepare(ctx context.Context, dir string) error {
	// A worker that is not root reads its files there.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	addr, err := freeAddr(x.addr)
	if err != nil {
		return err
	}
	x.site = &peer.Site{Dir: dir, Addr: addr, Plain: filepath.Join(dir, "plain")}
	if !x.rival.NeedsPlain() {
		return nil
	}
	return buildPlain(ctx, x.site.Plain)
}

func releaseName(n int) string { return fmt.Sprintf("v%d", n+1) }

// awaitFirst asks until the first release answers. Before that nobody listens, so these are no
// requests of the run.
func (x *contest) awaitFirst(ctx context.Context, p *prober) error {
	return x.await(ctx, releaseName(0), func() bool { return <-p.ask(releaseName(0)) })
}

func (x *contest) upgradeAll(ctx context.Context) error {
	for i := range x.upgrades {
		if err := wait(ctx, x.rest); err != nil {
			return err
		}
		from, to := releaseName(i), releaseName(i+1)
		h := evidence.Handover{From: from, To: to, Began: x.clock.now()}
		x.say("%s is to replace %s", to, from)
		if err := x.service.Replace(ctx, to, func() { h.At = x.clock.now() }); err != nil {
			return err
		}
		x.seen.Handovers = append(x.seen.Handovers, h)
		if err := x.await(ctx, to, func() bool { return x.load.tally.saw(to) }); err != nil {
			return err
		}
	}
	return wait(ctx, max(x.rest, lastLook))
}

// lastLook is how long the load goes on behind the last upgrade: the release before may take a
// while to leave, and what it loses then is lost.
const lastLook = 4 * time.Second

// await waits until a release has answered.
func (x *contest) await(ctx context.Context, release string, answered func() bool) error {
	deadline := time.Now().Add(20 * time.Second)
	for !answered() {
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for %s of %s to answer: it does not, its log ends with\n%s", release, x.rival.Name, x.site.LastWords())
		}
	}
	return nil
}

func (x *contest) say(format string, args ...any) { say(x.text, x.clock, format, args...) }

// said is what is compared, in a few words.
func (c config) said() string {
	s := c.subject()
	return s.System + ", " + s.Method
}

// rivalSubject says what the peer is.
func rivalSubject(p *peer.Peer) evidence.Subject {
	s := p.Subject
	if s.Version = p.Version(); p.NeedsPlain() {
		s.Version = runtime.Version()
	}
	return s
}
