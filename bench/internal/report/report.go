// Package report draws the sums of runs, and says them.
package report

import (
	"fmt"
	"slices"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/wire"
)

// Report is what a run comes to. All times are in seconds.
type Report struct {
	Scenario      string               `json:"scenario,omitempty"`
	System        string               `json:"system,omitempty"`
	Version       string               `json:"version,omitempty"`
	Method        string               `json:"method,omitempty"` // how it is upgraded
	Absent        string               `json:"absent,omitempty"` // why it was not run; then there is nothing else
	Sent          int                  `json:"sent"`
	Answered      int                  `json:"answered"`
	Declined      int                  `json:"declined"`  // no answer and no loss: see outcome
	Withdrawn     int                  `json:"withdrawn"` // likewise
	Failed        int                  `json:"failed"`
	Failures      map[string]int       `json:"failures"` // by class
	Releases      []ReleaseSum         `json:"releases"`
	ProbesFailed  int                  `json:"probes_failed"`
	Loads         []LoadSum            `json:"loads"`
	Steady        Latency              `json:"steady"`
	SteadyIs      string               `json:"steady_is"` // which requests count as steady
	Moment        string               `json:"moment"`    // what the handovers' second is around
	Handovers     []HandoverSum        `json:"handovers"`
	MedianRatio   float64              `json:"median_ratio,omitzero"` // of the handovers' ratios
	Departures    []evidence.Departure `json:"departures"`
	Judged        bool                 `json:"judged"`
	Loses         bool                 `json:"loses,omitempty"` // it has to
	Counts        map[string]int       `json:"counts"`          // of what is neither an answer nor a loss
	Complaints    []string             `json:"complaints"`      // of the proxy in front
	Wire          *wire.Traffic        `json:"wire,omitempty"`
	Disagreements []string             `json:"disagreements"`
	Examples      []string             `json:"examples"` // of errors, one for each class and load
}

// ReleaseSum is what a release answered, as the clients saw it.
type ReleaseSum struct {
	Name     string `json:"name"`
	Answered int    `json:"answered"`
	Apart    int    `json:"apart"` // of these, what the server does not count as requests
	Probes   int    `json:"probes"`
}

// LoadSum is what became of one kind of load.
type LoadSum struct {
	Name    string  `json:"name"`
	Sent    int     `json:"sent"`
	Failed  int     `json:"failed"`
	Latency Latency `json:"latency"`
}

// HandoverSum is what the clients felt of one upgrade.
type HandoverSum struct {
	From    string  `json:"from"`
	To      string  `json:"to"`
	Latency Latency `json:"latency"`        // in the second around the moment
	Ratio   float64 `json:"ratio,omitzero"` // of its p99.9 to the steady one
}

// Of draws the sums of a run.
func Of(e evidence.Run) Report {
	r := Report{Scenario: e.Name, System: e.Subject.System, Version: e.Subject.Version, Method: e.Subject.Method, Absent: e.Subject.Absent, Sent: e.Sent, Judged: e.Judged, Loses: e.Loses, Moment: e.Moment,
		Departures: e.Departures, Counts: e.Counts, Complaints: e.Complaints, Wire: e.Wire, Failures: map[string]int{}}
	for _, o := range evidence.Losses() {
		r.Failures[o.String()] = 0
	}
	r.countLoad(e.Records)
	r.countProbes(e.Probes)
	r.measure(e)
	r.Disagreements = r.disagreements()
	if e.Shows != "" && r.Counts[e.Shows] == 0 {
		r.Disagreements = append(r.Disagreements, fmt.Sprintf("there were no %s: the run is not what its scenario says", e.Shows))
	}
	if e.SharedKeys != nil && e.Judged {
		r.Disagreements = append(r.Disagreements, r.strangeSessions(*e.SharedKeys)...)
	}
	return r
}

func (r *Report) countLoad(records []evidence.Record) {
	for _, rec := range records {
		load := r.load(rec.Kind)
		load.Sent++
		switch rec.Outcome {
		case evidence.Answered:
			r.Answered++
			r.noteAnswer(rec)
		case evidence.Declined:
			r.Declined++
		case evidence.Withdrawn:
			r.Withdrawn++
		default:
			r.Failed++
			r.fail(rec)
			load.Failed++
		}
	}
}

func (r *Report) noteAnswer(rec evidence.Record) {
	sum := r.release(rec.Release)
	sum.Answered++
	if rec.Apart {
		sum.Apart++
	}
}

// fail notes a failure's class, and keeps the first of each as an example.
func (r *Report) fail(rec evidence.Record) {
	class := rec.Outcome.String()
	r.Failures[class]++
	if r.Failures[class] == 1 {
		r.Examples = append(r.Examples, example(rec))
	}
}

func (r *Report) countProbes(probes []evidence.Record) {
	for _, rec := range probes {
		// Every probe that was answered counts, with whatever status.
		if rec.Outcome == evidence.Answered {
			r.release(rec.Release).Probes++
			continue
		}
		r.ProbesFailed++
		r.Examples = append(r.Examples, example(rec))
	}
}

// example says what failed, when, and how long it took: an end after a round number of
// seconds is somebody's timeout.
func example(rec evidence.Record) string {
	return fmt.Sprintf("%s: %s, due at %.1fs, after %v: %s",
		rec.Outcome, rec.Kind, rec.Due.Seconds(), evidence.Seconds(rec.Latency.Seconds()), rec.Detail)
}

func (r *Report) measure(e evidence.Run) {
	for i := range r.Loads {
		load := &r.Loads[i]
		load.Latency = measure(e.Records, func(rec evidence.Record) bool { return rec.Kind == load.Name })
	}
	calm, what := steady(e)
	r.Steady, r.SteadyIs = sum(calm), what
	var ratios []float64
	for _, h := range e.Handovers {
		sum := HandoverSum{From: h.From, To: h.To}
		sum.Latency = measure(e.Records, func(rec evidence.Record) bool { return nearby(h, rec) })
		if r.Steady.P999 > 0 && sum.Latency.P999 > 0 {
			sum.Ratio = float64(sum.Latency.P999 / r.Steady.P999)
			ratios = append(ratios, sum.Ratio)
		}
		r.Handovers = append(r.Handovers, sum)
	}
	r.MedianRatio = Median(ratios)
}

// release returns the row of the release with this name, in the order in which
// they are first seen.
func (r *Report) release(name string) *ReleaseSum {
	i := slices.IndexFunc(r.Releases, func(s ReleaseSum) bool { return s.Name == name })
	if i < 0 {
		i = len(r.Releases)
		r.Releases = append(r.Releases, ReleaseSum{Name: name})
	}
	return &r.Releases[i]
}

func (r *Report) load(name string) *LoadSum {
	i := slices.IndexFunc(r.Loads, func(s LoadSum) bool { return s.Name == name })
	if i < 0 {
		i = len(r.Loads)
		r.Loads = append(r.Loads, LoadSum{Name: name})
	}
	return &r.Loads[i]
}

// answersOf is how many requests of the clients' a release has answered, probes
// included.
func (r Report) answersOf(name string) int {
	for _, s := range r.Releases {
		if s.Name == name {
			return s.Answered - s.Apart + s.Probes
		}
	}
	return 0
}

// Lost is the number that everything here is about.
func (r Report) Lost() int { return r.Failed + r.ProbesFailed }

// Passed reports whether nothing was lost, and everybody says so; or something, where it has
// to be. What was not run has not passed.
func (r Report) Passed() bool {
	return r.Absent == "" && (r.Lost() > 0) == r.Loses && len(r.Disagreements) == 0
}
