package main

import (
	"fmt"
	"slices"

	"github.com/ba995850/overlap/bench/wire"
)

// report is what a run comes to. All times are in seconds.
type report struct {
	Scenario      string         `json:"scenario,omitempty"`
	Sent          int            `json:"sent"`
	Answered      int            `json:"answered"`
	Declined      int            `json:"declined"`  // no answer and no loss: see outcome
	Withdrawn     int            `json:"withdrawn"` // likewise
	Failed        int            `json:"failed"`
	Failures      map[string]int `json:"failures"` // by class
	Releases      []releaseSum   `json:"releases"`
	ProbesFailed  int            `json:"probes_failed"`
	Loads         []loadSum      `json:"loads"`
	Steady        latency        `json:"steady"`
	SteadyIs      string         `json:"steady_is"` // which requests count as steady
	Moment        string         `json:"moment"`    // what the handovers' second is around
	Handovers     []handoverSum  `json:"handovers"`
	MedianRatio   float64        `json:"median_ratio,omitzero"` // of the handovers' ratios
	Departures    []departure    `json:"departures"`
	Judged        bool           `json:"judged"`
	Counts        map[string]int `json:"counts"`     // of what is neither an answer nor a loss
	Complaints    []string       `json:"complaints"` // of the proxy in front
	Wire          *wire.Traffic  `json:"wire,omitempty"`
	Disagreements []string       `json:"disagreements"`
	Examples      []string       `json:"examples"` // of errors, one for each class and load
}

// releaseSum is what a release answered, as the clients saw it.
type releaseSum struct {
	Name     string `json:"name"`
	Answered int    `json:"answered"`
	Apart    int    `json:"apart"` // of these, what the server does not count as requests
	Probes   int    `json:"probes"`
}

type loadSum struct {
	Name    string  `json:"name"`
	Sent    int     `json:"sent"`
	Failed  int     `json:"failed"`
	Latency latency `json:"latency"`
}

type handoverSum struct {
	From    string  `json:"from"`
	To      string  `json:"to"`
	Latency latency `json:"latency"`        // in the second around the moment
	Ratio   float64 `json:"ratio,omitzero"` // of its p99.9 to the steady one
}

// account draws the sums.
func account(e evidence) report {
	r := report{Sent: e.sent, Judged: e.judged, Moment: e.moment, Departures: e.departures,
		Counts: e.counts, Complaints: e.complaints, Wire: e.wire, Failures: map[string]int{}}
	for _, o := range losses() {
		r.Failures[o.String()] = 0
	}
	r.countLoad(e.records)
	r.countProbes(e.probes)
	r.measure(e)
	r.Disagreements = r.disagreements()
	if e.sharedKeys != nil && e.judged {
		r.Disagreements = append(r.Disagreements, r.strangeSessions(*e.sharedKeys)...)
	}
	return r
}

func (r *report) countLoad(records []record) {
	for _, rec := range records {
		load := r.load(rec.kind)
		load.Sent++
		switch rec.outcome {
		case answered:
			r.Answered++
			r.noteAnswer(rec)
		case declined:
			r.Declined++
		case withdrawn:
			r.Withdrawn++
		default:
			r.Failed++
			r.fail(rec)
			load.Failed++
		}
	}
}

func (r *report) noteAnswer(rec record) {
	sum := r.release(rec.release)
	sum.Answered++
	if rec.apart {
		sum.Apart++
	}
}

// fail notes a failure's class, and keeps the first of each as an example.
func (r *report) fail(rec record) {
	class := rec.outcome.String()
	r.Failures[class]++
	if r.Failures[class] == 1 {
		r.Examples = append(r.Examples, example(rec))
	}
}

func (r *report) countProbes(probes []record) {
	for _, rec := range probes {
		// Every probe that was answered counts, with whatever status.
		if rec.outcome == answered {
			r.release(rec.release).Probes++
			continue
		}
		r.ProbesFailed++
		r.Examples = append(r.Examples, example(rec))
	}
}

// example says what failed, when, and how long it took: an end after a round number of
// seconds is somebody's timeout.
func example(rec record) string {
	return fmt.Sprintf("%s: %s, due at %.1fs, after %v: %s",
		rec.outcome, rec.kind, rec.due.Seconds(), seconds(rec.latency.Seconds()), rec.detail)
}

func (r *report) measure(e evidence) {
	for i := range r.Loads {
		load := &r.Loads[i]
		load.Latency = measure(e.records, func(rec record) bool { return rec.kind == load.Name })
	}
	r.Steady, r.SteadyIs = steady(e)
	var ratios []float64
	for _, h := range e.handovers {
		sum := handoverSum{From: h.from, To: h.to, Latency: measure(e.records, h.nearby)}
		if r.Steady.P999 > 0 && sum.Latency.P999 > 0 {
			sum.Ratio = float64(sum.Latency.P999 / r.Steady.P999)
			ratios = append(ratios, sum.Ratio)
		}
		r.Handovers = append(r.Handovers, sum)
	}
	r.MedianRatio = median(ratios)
}

// release returns the row of the release with this name, in the order in which
// they are first seen.
func (r *report) release(name string) *releaseSum {
	i := slices.IndexFunc(r.Releases, func(s releaseSum) bool { return s.Name == name })
	if i < 0 {
		i = len(r.Releases)
		r.Releases = append(r.Releases, releaseSum{Name: name})
	}
	return &r.Releases[i]
}

func (r *report) load(name string) *loadSum {
	i := slices.IndexFunc(r.Loads, func(s loadSum) bool { return s.Name == name })
	if i < 0 {
		i = len(r.Loads)
		r.Loads = append(r.Loads, loadSum{Name: name})
	}
	return &r.Loads[i]
}

// answersOf is how many requests of the clients' a release has answered, probes
// included.
func (r report) answersOf(name string) int {
	for _, s := range r.Releases {
		if s.Name == name {
			return s.Answered - s.Apart + s.Probes
		}
	}
	return 0
}

// lost is the number that everything here is about.
func (r report) lost() int { return r.Failed + r.ProbesFailed }

func (r report) passed() bool {
	return r.lost() == 0 && len(r.Disagreements) == 0
}

func (r report) exitCode() int {
	if r.passed() {
		return exitLossless
	}
	return exitLost
}
