package main

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

func newRecord(kind string, due, latency time.Duration, a answer, err error) evidence.Record {
	r := evidence.Record{Kind: kind, Due: due, Latency: latency, Release: a.release, Conn: a.conn, Outcome: classify(err)}
	if err != nil {
		r.Detail = err.Error()
	}
	return r
}

// tally is what can be told while the load still runs. The report does not use it.
type tally struct {
	mu       sync.Mutex
	answered map[string]int
	failed   int
	seen     map[string]bool // releases, since the load began
}

func newTally() *tally { return &tally{answered: map[string]int{}, seen: map[string]bool{}} }

func (t *tally) add(r evidence.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case r.Outcome == evidence.Answered:
		t.answered[r.Release]++
		t.seen[r.Release] = true
	case r.Outcome.Lost():
		t.failed++
	}
}

// saw reports whether a release has answered.
func (t *tally) saw(release string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen[release]
}

// take returns what was added since it was called last, and the names in order.
func (t *tally) take() (names []string, counts map[string]int, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts, failed = t.answered, t.failed
	t.answered, t.failed = map[string]int{}, 0
	return slices.Sorted(maps.Keys(counts)), counts, failed
}
