package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// record is one request and what became of it.
type record struct {
	kind    string
	due     time.Duration // when it was meant to be sent, in the run's time
	latency time.Duration // from then to the end of its answer
	release string        // who answered, by the header Release
	apart   bool          // not among the requests that a server counts
	life    bool          // its latency is how long something was open
	outcome outcome
	detail  string // the error's text, when it failed
}

func newRecord(kind string, due, latency time.Duration, release string, err error) record {
	r := record{kind: kind, due: due, latency: latency, release: release, outcome: classify(err)}
	if err != nil {
		r.detail = err.Error()
	}
	return r
}

// tally is what can be told while the load still runs. The report does not use it.
type tally struct {
	mu       sync.Mutex
	answered map[string]int
	failed   int
}

func newTally() *tally { return &tally{answered: map[string]int{}} }

func (t *tally) add(r record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case r.outcome == answered:
		t.answered[r.release]++
	case r.outcome.lost():
		t.failed++
	}
}

// take returns what was added since it was called last, and the names in order.
func (t *tally) take() (names []string, counts map[string]int, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts, failed = t.answered, t.failed
	t.answered, t.failed = map[string]int{}, 0
	return slices.Sorted(maps.Keys(counts)), counts, failed
}
