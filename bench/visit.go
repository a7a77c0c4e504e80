package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/report"
)

// visit drives a service that is already running, for --duration or until it is
// interrupted, while its operator upgrades it by hand.
func visit(ctx context.Context, c config, text io.Writer) (evidence.Run, error) {
	seen := evidence.Run{About: c.about()}
	t, err := discover(ctx, c.url, c.timeout)
	if err != nil {
		return evidence.Run{}, err
	}
	if c.loads, err = suitable(c.loads, t, text); err != nil {
		return evidence.Run{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.duration)
	defer cancel()
	clock := clock{time.Now()}
	load := startLoad(ctx, c, t, dialer{addr: t.addr, opened: new(atomic.Int64)}, clock)
	watch(ctx, load.tally, clock, text)
	seen.Work = load.stop()
	seen.Handovers, seen.Moment = evidence.SeenHandovers(seen.Records), "the last answer of the release before"
	seen.Judged = true
	return seen, nil
}

// suitable leaves out what a service that is not ours cannot be asked for.
func suitable(loads []kind, t target, text io.Writer) ([]kind, error) {
	if t.reference {
		return loads, nil
	}
	fmt.Fprintf(text, "not the reference server at %s: only GETs of %s, and bodies are not compared\n", t.host, t.path)
	loads = slices.DeleteFunc(loads, func(k kind) bool { return k.needs.reference })
	if len(loads) == 0 {
		return nil, errors.New("drive the service: these loads ask for what only the reference server has; choose another --load")
	}
	return loads, nil
}

// watch says each second what came back, until ctx ends.
func watch(ctx context.Context, t *tally, clock clock, text io.Writer) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fmt.Fprintf(text, "%5.1fs  %s\n", clock.now().Seconds(), lastSecond(t))
		}
	}
}

func lastSecond(t *tally) string {
	names, counts, failed := t.take()
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %d", report.OrUnnamed(name), counts[name]))
	}
	return fmt.Sprintf("answered %s  failed %d", strings.Join(parts, " + "), failed)
}
