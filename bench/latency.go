package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	around  = 500 * time.Millisecond // each side of a handover's moment
	margin  = 100 * time.Millisecond // each side of a handover, from start to exit
	warmUp  = 500 * time.Millisecond // until all clients have dialled, which they do at once
	trusted = 1000                   // fewer requests than this have no p99.9
)

// seconds is a length of time as reports and logs carry it.
type seconds float64

// String returns three digits or so, which is what a reader compares.
func (s seconds) String() string {
	d := time.Duration(float64(s) * float64(time.Second))
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// latency sums up how long answers took, from when their requests were due.
type latency struct {
	Requests int     `json:"requests"`
	P50      seconds `json:"p50"`
	P99      seconds `json:"p99"`
	P999     seconds `json:"p999,omitzero"` // 0: too few requests to have one
	Max      seconds `json:"max"`
}

// measure sums up the answered requests that are counted in. A failure has no
// latency: a refused connection is fast.
func measure(records []record, counts func(record) bool) latency {
	const longest = int64(10 * time.Minute / time.Microsecond)
	h := hdrhistogram.New(1, longest, 3)
	for _, r := range records {
		if r.outcome == answered && counts(r) {
			_ = h.RecordValue(min(r.latency.Microseconds(), longest)) // in range, so it cannot fail
		}
	}
	at := func(q float64) seconds { return seconds(float64(h.ValueAtQuantile(q)) / 1e6) }
	l := latency{Requests: int(h.TotalCount()), P50: at(50), P99: at(99), Max: at(100)}
	if l.Requests >= trusted {
		l.P999 = at(99.9)
	}
	return l
}

// nearby reports whether r was due in the second around the handover's moment.
func (h handover) nearby(r record) bool {
	return !r.life && r.due >= h.at-around && r.due < h.at+around
}

// during reports whether r was due between the next one's start and the exit.
func (h handover) during(r record) bool {
	return r.due >= h.began-margin && r.due < h.over+margin
}

// steady measures what no handover can have touched, and says what that is.
// Where upgrades follow each other too closely, hardly anything is left; then
// it is all but the second around each handover.
func steady(e evidence) (latency, string) {
	outside := e.measureBut(handover.during)
	if outside.Requests >= trusted || len(e.handovers) == 0 {
		return outside, "outside the time from a release's start to the exit of the one before"
	}
	return e.measureBut(handover.nearby), "all but the seconds around " + e.moment
}

// measureBut leaves out what some handover touches, and the warm-up.
func (e evidence) measureBut(touches func(handover, record) bool) latency {
	warm := firstDue(e.records) + warmUp
	return measure(e.records, func(r record) bool {
		return !r.life && r.due >= warm && !slices.ContainsFunc(e.handovers, func(h handover) bool { return touches(h, r) })
	})
}

func firstDue(records []record) time.Duration {
	if len(records) == 0 {
		return 0
	}
	return slices.MinFunc(records, func(a, b record) int { return cmp.Compare(a.due, b.due) }).due
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	of = slices.Sorted(slices.Values(of))
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}
