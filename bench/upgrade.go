package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// story is one run: releases come and go under a load that does not stop.
type story struct {
	config
	clock     clock
	text      io.Writer
	fleet     *fleet
	prober    *prober
	proxy     *front     // nil: none
	load      *load      // nil: not yet
	retiring  []*release // told to leave, and not waited for yet
	plan      plan
	struck    map[string]int // what of the plan has happened
	hardships map[string]int // that the upgrades met, see hardship.go
	seen      evidence.Run
}

// upgrade builds the server, upgrades it under load, and returns what was seen.
func upgrade(ctx context.Context, c config, text io.Writer) (evidence.Run, error) {
	s, err := begin(ctx, c, text)
	if err != nil {
		return evidence.Run{}, err
	}
	defer s.fleet.close()
	if err := s.tell(ctx); err != nil {
		return evidence.Run{}, err
	}
	return s.seen, nil
}

// begin prepares a story. Its fleet has to be closed.
func begin(ctx context.Context, c config, text io.Writer) (_ *story, err error) {
	s := &story{config: c, clock: clock{time.Now()}, text: text, hardships: map[string]int{}, struck: map[string]int{}, seen: evidence.Run{About: c.about()}}
	s.say("preparing the server (a first build takes a while)")
	s.fleet, err = newFleet(ctx, c, s.clock)
	return s, err
}

// tell is the run, from the first start to the last exit.
func (s *story) tell(ctx context.Context) error {
	t := target{addr: s.fleet.addr, host: s.fleet.addr, path: "/", reference: true}
	s.prober = newProber(t, s.fleet.dialer(), s.config, s.clock)
	defer func() { s.seen.Probes = append(s.seen.Probes, s.prober.done()...) }() // a crash begins another
	current, err := s.launch(ctx)
	if err != nil {
		return err
	}
	s.say("%s pid %d serving on %s", current.name, current.Cmd.Process.Pid, s.fleet.addr)
	if s.plan.crash {
		if current, err = s.crash(ctx, current); err != nil {
			return err
		}
	}
	dialer := s.fleet.dialer()
	if s.front != "" {
		front, err := startFront(ctx, proxyNamed(s.front), s.fleet.dir, s.fleet.addr, s.clock)
		if err != nil {
			return err
		}
		defer front.stop()
		s.proxy, dialer.addr = front, front.addr
	}
	s.load = startLoad(ctx, s.config, t, dialer, s.clock)
	defer s.endLoad() // also of a run that is broken off
	for range s.upgrades {
		if current, err = s.replace(ctx, current); err != nil {
			return err
		}
	}
	if err := s.pause(ctx); err != nil {
		return err
	}
	if err := s.awaitExits(ctx); err != nil { // while the load goes on
		return err
	}
	s.load.stop()
	if err := s.countDropped(); err != nil {
		return err
	}
	return s.finish(ctx, current)
}

// endLoad stops the load, and takes down what it has done.
func (s *story) endLoad() {
	s.seen.Work = s.load.stop()
	maps.Copy(s.seen.Counts, s.hardships)
}

// launch starts the next release and waits until it answers.
func (s *story) launch(ctx context.Context) (*release, error) {
	r, err := s.fleet.start()
	if err != nil {
		return nil, err
	}
	return r, r.awaitReady(ctx, s.prober, s.saw)
}

// saw reports whether the load has an answer of a release.
func (s *story) saw(release string) bool { return s.load != nil && s.load.tally.saw(release) }

// replace is one upgrade.
func (s *story) replace(ctx context.Context, current *release) (*release, error) {
	if err := s.pause(ctx); err != nil {
		return nil, err
	}
	s.countDraining()
	trouble := s.plan.next()
	next, err := trouble.meet(ctx, s, current)
	if next == nil && err == nil {
		next, err = s.launch(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.say("%s pid %d answers; SIG%s to %s", next.name, next.Cmd.Process.Pid, s.signal, current.name)
	if err := s.dismiss(current); err != nil {
		return nil, err
	}
	s.seen.Handovers = append(s.seen.Handovers, evidence.Handover{From: current.name, To: next.name, Began: next.began, At: current.term})
	if err := trouble.follow(ctx, s, current); err != nil || s.overlapNext {
		return next, err
	}
	return next, s.awaitExits(ctx)
}

func (s *story) dismiss(r *release) error {
	if err := s.countHalfOpen(); err != nil {
		return err
	}
	s.retiring = append(s.retiring, r)
	return r.retire(s.signal)
}

// awaitExits waits for all that retire, and takes down how each one left.
func (s *story) awaitExits(ctx context.Context) error {
	for _, r := range s.retiring {
		if err := r.awaitExit(ctx); err != nil {
			return err
		}
		d, err := departureOf(r)
		if err != nil {
			return err
		}
		s.seen.Departed(d, r.exit())
		s.say("%s", d)
	}
	s.retiring = nil
	return nil
}

// finish stops the last release, which nobody succeeds.
func (s *story) finish(ctx context.Context, last *release) error {
	if err := s.dismiss(last); err != nil {
		return err
	}
	s.seen.Judged = s.retire == "graceful" && s.signal == "TERM" && !s.blind
	s.seen.SharedKeys = &s.ticketKeys
	s.seen.Moment = "SIG" + s.signal
	if err := s.awaitExits(ctx); err != nil {
		return err
	}
	traffic, err := s.fleet.traffic()
	s.seen.Wire = traffic
	if err != nil || s.proxy == nil {
		return err
	}
	found, err := s.proxy.complaints()
	s.seen.Complaints = found
	return err
}

// pause lets the load run undisturbed for --rest.
func (s *story) pause(ctx context.Context) error { return wait(ctx, s.rest) }

func (s *story) say(format string, args ...any) { say(s.text, s.clock, format, args...) }

// say writes a line of a run's progress.
func say(text io.Writer, clock clock, format string, args ...any) {
	fmt.Fprintf(text, "%5.1fs  %s\n", clock.now().Seconds(), fmt.Sprintf(format, args...))
}
