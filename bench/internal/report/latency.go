package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/ba995850/overlap/bench/internal/evidence"
)

const (
	around  = 500 * time.Millisecond // each side of a handover's moment
	margin  = 100 * time.Millisecond // each side of a handover, from start to exit
	warmUp  = 500 * time.Millisecond // until all clients have dialled, which they do at once
	trusted = 1000                   // fewer requests than this have no p99.9
)

// Latency sums up how long answers took, from when their requests were due.
type Latency struct {
	Requests int              `json:"requests"`
	P50      evidence.Seconds `json:"p50"`
	P99      evidence.Seconds `json:"p99"`
	P999     evidence.Seconds `json:"p999,omitzero"` // 0: too few requests to have one
	Max      evidence.Seconds `json:"max"`
}

// histogram counts the latencies of the answered requests that are counted in. A
// failure has none: a refused connection is fast.
func histogram(records []evidence.Record, counts func(evidence.Record) bool) *hdrhistogram.Histogram {
	const longest = int64(10 * time.Minute / time.Microsecond)
	h := hdrhistogram.New(1, longest, 3)
	for _, r := range records {
		if r.Outcome == evidence.Answered && counts(r) {
			_ = h.RecordValue(min(r.Latency.Microseconds(), longest)) // in range, so it cannot fail
		}
	}
	return h
}

func measure(records []evidence.Record, counts func(evidence.Record) bool) Latency {
	return sum(histogram(records, counts))
}

func sum(h *hdrhistogram.Histogram) Latency {
	at := func(q float64) evidence.Seconds { return evidence.Seconds(float64(h.ValueAtQuantile(q)) / 1e6) }
	l := Latency{Requests: int(h.TotalCount()), P50: at(50), P99: at(99), Max: at(100)}
	if l.Requests >= trusted {
		l.P999 = at(99.9)
	}
	return l
}

// nearby reports whether r was due in the second around the handover's moment.
func nearby(h evidence.Handover, r evidence.Record) bool {
	return !r.Life && r.Due >= h.At-around && r.Due < h.At+around
}

// during reports whether r was due between the next one's start and the exit.
func during(h evidence.Handover, r evidence.Record) bool {
	return r.Due >= h.Began-margin && r.Due < h.Over+margin
}

// steady measures what no handover can have touched, and says what that is.
// Where upgrades follow each other too closely, hardly anything is left; then
// it is all but the second around each handover.
func steady(e evidence.Run) (*hdrhistogram.Histogram, string) {
	outside := untouched(e, during)
	if outside.TotalCount() >= trusted || len(e.Handovers) == 0 {
		return outside, "outside the time from a release's start to the exit of the one before"
	}
	return untouched(e, nearby), "all but the seconds around " + e.Moment
}

// untouched leaves out what some handover touches, and the warm-up.
func untouched(e evidence.Run, touches func(evidence.Handover, evidence.Record) bool) *hdrhistogram.Histogram {
	warm := firstDue(e.Records) + warmUp
	return histogram(e.Records, func(r evidence.Record) bool {
		return !r.Life && r.Due >= warm && !touched(e, r, touches)
	})
}

func touched(e evidence.Run, r evidence.Record, touches func(evidence.Handover, evidence.Record) bool) bool {
	return slices.ContainsFunc(e.Handovers, func(h evidence.Handover) bool { return touches(h, r) })
}

func firstDue(records []evidence.Record) time.Duration {
	if len(records) == 0 {
		return 0
	}
	return slices.MinFunc(records, func(a, b evidence.Record) int { return cmp.Compare(a.Due, b.Due) }).Due
}

// Median returns the one in the middle, or 0 of none.
func Median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	of = slices.Sorted(slices.Values(of))
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}
