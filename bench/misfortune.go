package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// misfortune is what may happen around an upgrade, and must not lose a request. What
// cannot but lose some is not here: a kill of a release that has connections, or of one
// that is in the rotation, for the kernel has promised it connections by then.
type misfortune struct {
	name string
	what string

	// before happens before the upgrade. It may return the next release, which serves
	// then; otherwise one is launched as usual.
	before func(ctx context.Context, s *story, current *release, t trouble) (next *release, err error)
	// after happens when left has been told to leave.
	after func(ctx context.Context, s *story, left *release, t trouble) error

	graceful bool // it takes a release that leaves gracefully
}

var misfortunes = [...]misfortune{
	{name: "broken", what: "the next release exits at start, and then comes one that does not", before: meetBroken},
	{name: "killed", what: "the next release, still dark, is killed at whatever moment", before: meetKilled},
	{name: "hung", what: "the next release, still dark, is stopped at whatever moment, and killed later", before: meetHung},
	{name: "undone", what: "a retirement to a release that is still dark is undone, and ordered again once that is pinned", before: meetUndone, graceful: true},
	{name: "stopped", what: "the release that leaves is stopped for a moment (SIGSTOP, SIGCONT)", after: stopForAMoment},
}

// The longest that is drawn of each.
const (
	longestDelay = 600 * time.Millisecond
	longestHold  = 400 * time.Millisecond
)

// crashed is what a plan calls a release that is killed while there is no load.
const crashed = "crash"

// trouble is a misfortune and its moments. Without a misfortune it does nothing.
type trouble struct {
	*misfortune
	delay time.Duration // until it strikes
	hold  time.Duration // how long it lasts
}

// plan is what happens in a story besides the upgrades; in most of them nothing.
type plan struct {
	crash    bool      // the first release is killed before the load comes
	troubles []trouble // one for each upgrade
}

func (p *plan) next() (t trouble) {
	if len(p.troubles) > 0 {
		t, p.troubles = p.troubles[0], p.troubles[1:]
	}
	return t
}

// String names what happens, in its order.
func (p plan) String() string {
	var names []string
	if p.crash {
		names = append(names, crashed)
	}
	for _, t := range p.troubles {
		names = append(names, t.String())
	}
	return strings.Join(names, ",")
}

func (t trouble) String() string {
	if t.misfortune == nil {
		return "calm"
	}
	return t.name
}

func (t trouble) meet(ctx context.Context, s *story, current *release) (*release, error) {
	if t.misfortune == nil || t.before == nil {
		return nil, nil
	}
	return t.before(ctx, s, current, t)
}

func (t trouble) follow(ctx context.Context, s *story, left *release) error {
	if t.misfortune == nil || t.after == nil {
		return nil
	}
	return t.after(ctx, s, left, t)
}

// crash kills the only release. The one that comes has to get the port at once.
func (s *story) crash(ctx context.Context, only *release) (*release, error) {
	if err := s.kill(only); err != nil {
		return nil, err
	}
	s.struck[crashed]++
	s.say("%s was killed", only.name)
	s.seen.Probes = s.prober.done()
	s.prober = s.prober.again() // nobody listens, and that is no loss
	return s.launch(ctx)
}

// kill ends a release that nobody is connected to.
func (s *story) kill(r *release) error {
	if err := r.Cmd.Process.Signal(os.Kill); err != nil {
		return fmt.Errorf("kill %s: %w; its log ends with\n%s", r.name, err, r.LastWords())
	}
	<-r.Exited
	return nil
}

func meetBroken(ctx context.Context, s *story, _ *release, _ trouble) (*release, error) {
	r, err := s.fleet.start("--config", os.DevNull+"/none.yaml")
	if err != nil {
		return nil, err
	}
	if err := r.awaitExit(ctx); err != nil {
		return nil, err
	}
	s.struck["broken"]++
	s.say("%s did not start", r.name)
	if r.Cmd.ProcessState.ExitCode() <= 0 {
		return nil, fmt.Errorf("start %s without its configuration: %v; its log ends with\n%s", r.name, r.Cmd.ProcessState, r.LastWords())
	}
	return nil, nil
}

func meetKilled(ctx context.Context, s *story, _ *release, t trouble) (*release, error) {
	r, err := s.fleet.start("--dark")
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, t.delay); err != nil {
		return nil, err
	}
	s.struck["killed"]++
	s.say("%s is killed", r.name)
	return nil, s.kill(r)
}

func meetHung(ctx context.Context, s *story, _ *release, t trouble) (*release, error) {
	r, err := s.fleet.start("--dark")
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, t.delay); err != nil {
		return nil, err
	}
	if err := halt(r.Cmd.Process); err != nil {
		return nil, fmt.Errorf("stop %s: %w; its log ends with\n%s", r.name, err, r.LastWords())
	}
	s.struck["hung"]++
	s.say("%s hangs", r.name)
	return nil, errors.Join(wait(ctx, t.hold), s.kill(r))
}

// meetUndone waits for others that leave, for two that leave at once with nobody but a
// dark one beside them may be unpinned together for a moment.
func meetUndone(ctx context.Context, s *story, current *release, t trouble) (*release, error) {
	if err := s.awaitExits(ctx); err != nil {
		return nil, err
	}
	next, err := s.fleet.start("--dark")
	if err != nil {
		return nil, err
	}
	if err := next.awaitLog(ctx, `"to":"dark"`); err != nil {
		return nil, err
	}
	if err := current.retire(s.signal); err != nil {
		return nil, err
	}
	if err := wait(ctx, t.delay); err != nil {
		return nil, err
	}
	if err := s.order(ctx, current, "retire", "--undo"); err != nil {
		return nil, err
	}
	s.struck["undone"]++
	s.say("%s stays, for %s is dark", current.name, next.name)
	if err := s.order(ctx, next, "pin"); err != nil {
		return nil, err
	}
	return next, next.awaitReady(ctx, s.prober, s.saw)
}

func stopForAMoment(ctx context.Context, s *story, left *release, t trouble) error {
	// A release without long answers has left after some 50ms.
	if err := wait(ctx, t.delay/20); err != nil {
		return err
	}
	err := halt(left.Cmd.Process)
	switch {
	case errors.Is(err, os.ErrProcessDone):
		s.say("%s has left before it could be stopped", left.name)
		return nil
	case err != nil:
		return fmt.Errorf("stop %s: %w", left.name, err)
	}
	s.struck["stopped"]++
	held := wait(ctx, t.hold)
	s.say("%s was stopped for %v", left.name, t.hold)
	if err := wake(left.Cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("wake %s: %w", left.name, err)
	}
	return held
}

// order says a verb of the server's to one release.
func (s *story) order(ctx context.Context, r *release, verb ...string) error {
	args := slices.Concat(verb, []string{"--pid", strconv.Itoa(r.Cmd.Process.Pid)})
	out, err := exec.CommandContext(ctx, s.fleet.binary(), args...).CombinedOutput()
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("server %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// awaitLog waits until a process has written some text to its log.
func (p *process) awaitLog(ctx context.Context, text string) error {
	deadline := time.After(20 * time.Second)
	for {
		ended := p.hasExited() // before it is read for the last time
		log, err := os.ReadFile(p.Log)
		if err != nil || bytes.Contains(log, []byte(text)) {
			return err
		}
		if ended {
			return fmt.Errorf("%s: %v, its log ends with\n%s", p.name, p.Cmd.ProcessState, p.LastWords())
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return errInterrupted
		case <-deadline:
			return fmt.Errorf("wait until %s says %s: it does not, its log ends with\n%s", p.name, text, p.LastWords())
		}
	}
}

func (p *process) hasExited() bool {
	select {
	case <-p.Exited:
		return true
	default:
		return false
	}
}

// wait returns when some time has gone by, or with an error when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return errInterrupted
	}
}
