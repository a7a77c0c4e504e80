package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/ba995850/overlap/bench/wire"
)

// evidence is all that a run brought to light. The report is a function of it
// and of nothing else.
type evidence struct {
	work
	probes     []record // the bench's own requests for readiness
	handovers  []handover
	moment     string // what handover.at is
	departures []departure
	complaints []string      // of the proxy in front, in its log
	sharedKeys *bool         // whether all releases have the same ticket keys; nil: who knows
	wire       *wire.Traffic // nil: there was none
	judged     bool          // whether the servers' words must agree with what the clients saw
}

// handover is one upgrade, in the run's time.
type handover struct {
	from, to string
	began    time.Duration // the next release was started
	at       time.Duration // the one before was told to leave
	over     time.Duration // and was gone
}

// departed adds how a release left, and when.
func (e *evidence) departed(d departure, exit time.Duration) {
	e.departures = append(e.departures, d)
	for i := range e.handovers {
		if e.handovers[i].from == d.Release {
			e.handovers[i].over = exit
		}
	}
}

// seenHandovers finds the handovers in what the clients saw, where nobody says
// when they were: each from the first answer of a new release to the last
// answer of the one before.
func seenHandovers(records []record) []handover {
	first, last := map[string]time.Duration{}, map[string]time.Duration{}
	for _, r := range records {
		if r.outcome != answered {
			continue
		}
		done := r.due + r.latency
		if at, seen := first[r.release]; !seen || done < at {
			first[r.release] = done
		}
		last[r.release] = max(last[r.release], done)
	}
	var names []string
	for name := range first {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	var seen []handover
	for i := 1; i < len(names); i++ {
		from, to := names[i-1], names[i]
		seen = append(seen, handover{from, to, first[to], last[from], last[from]})
	}
	return seen
}
