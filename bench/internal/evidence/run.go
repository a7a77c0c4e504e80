// Package evidence is what a run of the bench brought to light, and the file that keeps
// it. A report is a function of it and of nothing else: it cannot be otherwise, because
// what makes reports imports this package, and not the one that makes runs.
package evidence

import (
	"cmp"
	"slices"
	"time"

	"github.com/ba995850/overlap/bench/wire"
)

// Run is all that is known of one run. Its times count from the run's start.
type Run struct {
	About
	Work
	Probes     []Record // the bench's own requests for readiness
	Handovers  []Handover
	Departures []Departure
	Complaints []string      // of the proxy in front, in its log
	Wire       *wire.Traffic // nil: there was none
}

// Work is what a load has done.
type Work struct {
	Sent    int // counted apart from the records
	Records []Record
	Counts  map[string]int // of what is neither an answer nor a loss
}

// Peers is the scenario of runs that were made to compare systems.
const Peers = "peers"

// About says what was run.
type About struct {
	Name     string            `json:"name,omitempty"`    // of the scenario; empty: it has none
	What     string            `json:"what"`              // load, pace and machine in a line
	Action   string            `json:"action,omitempty"`  // what the upgrades are
	Network  string            `json:"network,omitempty"` // between clients and servers
	Began    time.Time         `json:"began"`
	Subject  Subject           `json:"subject"`
	Settings map[string]string `json:"settings,omitempty"` // the bench's flags

	Moment     string `json:"moment,omitempty"`      // what Handover.At is
	SharedKeys *bool  `json:"shared_keys,omitempty"` // all releases have the same ticket keys; nil: who knows
	Judged     bool   `json:"judged"`                // the servers' words must agree with what the clients saw
	Shows      string `json:"shows,omitempty"`       // the count that must not be 0, or the run is not what it says
	Loses      bool   `json:"loses,omitempty"`       // something must be lost, or the client sees nothing
}

// Subject is what was upgraded, and how.
type Subject struct {
	System   string `json:"system,omitempty"`
	Version  string `json:"version,omitempty"`
	Method   string `json:"method,omitempty"`   // how its manual says it is upgraded
	Settings string `json:"settings,omitempty"` // that the manual recommends for it
	Source   string `json:"source,omitempty"`   // the page of the manual
	Absent   string `json:"absent,omitempty"`   // why it was not run; then there is nothing else
}

// Handover is one upgrade.
type Handover struct {
	From  string        `json:"from"`
	To    string        `json:"to"`
	Began time.Duration `json:"began_ns"` // the next release was started
	At    time.Duration `json:"at_ns"`    // the one before was told to leave
	Over  time.Duration `json:"over_ns"`  // and was gone
}

// Departed adds how a release left, and when.
func (r *Run) Departed(d Departure, exit time.Duration) {
	r.Departures = append(r.Departures, d)
	for i := range r.Handovers {
		if r.Handovers[i].From == d.Release {
			r.Handovers[i].Over = exit
		}
	}
}

// EndHandovers takes the last answer of a release for its end, where nobody else says when that
// was.
func (r *Run) EndHandovers() {
	last := map[string]time.Duration{}
	for _, rec := range r.Records {
		if rec.Outcome == Answered {
			last[rec.Release] = max(last[rec.Release], rec.Due+rec.Latency)
		}
	}
	for i := range r.Handovers {
		h := &r.Handovers[i]
		h.Over = max(last[h.From], h.At)
	}
}

// SeenHandovers finds the handovers in what the clients saw, where nobody says
// when they were: each from the first answer of a new release to the last
// answer of the one before.
func SeenHandovers(records []Record) []Handover {
	first, last := map[string]time.Duration{}, map[string]time.Duration{}
	for _, r := range records {
		if r.Outcome != Answered {
			continue
		}
		done := r.Due + r.Latency
		if at, seen := first[r.Release]; !seen || done < at {
			first[r.Release] = done
		}
		last[r.Release] = max(last[r.Release], done)
	}
	var names []string
	for name := range first {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	var seen []Handover
	for i := 1; i < len(names); i++ {
		from, to := names[i-1], names[i]
		seen = append(seen, Handover{from, to, first[to], last[from], last[from]})
	}
	return seen
}
