package page

import (
	"slices"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// timeline is a window of a run, cut into slices of time.
type timeline struct {
	from, to, step time.Duration
	zero           time.Duration // the moment from which the axis counts
	signed         bool          // there is a before, so the axis has a + for what is behind
	releases       []string      // in the order in which they answered
	bins           []bin
	lost           []evidence.Record
	marks          []mark
}

// bin is one slice: how many requests that were due in it each release answered, and
// how long these took.
type bin struct {
	answers   []int // by release
	latencies []time.Duration
}

// most is how many slices an eye can follow.
const most = 240

// cut puts what was seen between two moments into slices. What lives on, as a
// WebSocket does, has no latency, and is no answer of its moment.
func cut(r evidence.Run, from, to, step time.Duration) timeline {
	t := timeline{from: from, to: to, step: step, bins: make([]bin, (to-from+step-1)/step)}
	for _, rec := range slices.Concat(r.Records, r.Probes) {
		switch {
		case rec.Due < from || rec.Due >= to:
		case rec.Outcome.Lost():
			t.lost = append(t.lost, rec)
		case rec.Outcome == evidence.Answered && !rec.Life && rec.Kind != "probe":
			t.bins[(rec.Due-from)/step].add(t.release(rec.Release), rec.Latency)
		}
	}
	for i := range t.bins {
		slices.Sort(t.bins[i].latencies)
	}
	slices.SortFunc(t.lost, evidence.InTime)
	return t
}

// release returns the number of a release, a new one when it was not seen before.
func (t *timeline) release(name string) int {
	i := slices.Index(t.releases, name)
	if i < 0 {
		i = len(t.releases)
		t.releases = append(t.releases, name)
	}
	return i
}

func (b *bin) add(release int, took time.Duration) {
	for len(b.answers) <= release {
		b.answers = append(b.answers, 0)
	}
	b.answers[release]++
	b.latencies = append(b.latencies, took)
}

func (b bin) of(release int) int {
	if release < len(b.answers) {
		return b.answers[release]
	}
	return 0
}

// at returns a quantile of the latencies, 0 to 1. There must be some.
func (b bin) at(q float64) time.Duration {
	return b.latencies[min(int(q*float64(len(b.latencies))), len(b.latencies)-1)]
}

// highest returns the largest number of answers in a slice.
func (t timeline) highest() (n int) {
	for _, b := range t.bins {
		n = max(n, len(b.latencies))
	}
	return n
}

// latencyRange returns the least p50 and the longest latency.
func (t timeline) latencyRange() (least, longest time.Duration) {
	least = time.Hour
	for _, b := range t.bins {
		if len(b.latencies) > 0 {
			least, longest = min(least, b.at(0.5)), max(longest, b.at(1))
		}
	}
	return min(least, longest), longest
}

// wholeRun is the run from its first request to its last, with its upgrades.
func wholeRun(r evidence.Run) timeline {
	first, last := extent(r.Records)
	step := stepFor(last-first+1, most)
	t := cut(r, first, last+1, step)
	t.zero = first
	for _, h := range r.Handovers {
		t.marks = append(t.marks, mark{at: h.At, text: h.From + " → " + h.To})
	}
	return t
}

func extent(records []evidence.Record) (first, last time.Duration) {
	if len(records) == 0 {
		return 0, 0
	}
	return slices.MinFunc(records, evidence.InTime).Due, slices.MaxFunc(records, evidence.InTime).Due
}

// closeUp is one upgrade of the run, with its phases. There must be one.
func closeUp(r evidence.Run) timeline {
	h := telling(r)
	over := max(h.Over, h.At)
	air := max(800*time.Millisecond, (over-h.Began)/3)
	first, last := extent(r.Records)
	from, to := max(h.Began-air, first), min(over+air, last+1)
	step := stepFor(to-from, most)
	from = h.At - (h.At-from+step-1)/step*step // so that a slice begins at the moment
	t := cut(r, from, from+(to-from+step-1)/step*step, step)
	t.zero, t.signed = h.At, true
	t.marks = phases(r, h)
	return t
}

// telling is the handover that says most: the one that lost most, else the middle one.
func telling(r evidence.Run) evidence.Handover {
	best, worst := len(r.Handovers)/2, 0
	for i, h := range r.Handovers {
		lost := 0
		for _, rec := range r.Records {
			if rec.Outcome.Lost() && rec.Due >= h.Began && rec.Due <= max(h.Over, h.At+time.Second) {
				lost++
			}
		}
		if lost > worst {
			best, worst = i, lost
		}
	}
	return r.Handovers[best]
}

// phases are the moments of an upgrade, in their order. What a phase took stands at its
// beginning.
func phases(r evidence.Run, h evidence.Handover) []mark {
	marks := []mark{
		{at: h.Began, text: h.To + " starts"},
		{at: h.At, text: r.Moment + " to " + h.From, main: true},
	}
	at := h.At
	if v := verdictOf(r, h.From); v != nil {
		for _, name := range evidence.Phases {
			if length, reached := v.Phases[name]; reached {
				marks = append(marks, mark{at: at, text: name + " " + took(length)})
				at += time.Duration(float64(length) * float64(time.Second))
			}
		}
	}
	return append(marks, mark{at: max(h.Over, at), text: h.From + " is gone"})
}

// verdictOf returns what a release said when it left, or nil.
func verdictOf(r evidence.Run, release string) *evidence.Verdict {
	for _, d := range r.Departures {
		if d.Release == release {
			return d.Verdict
		}
	}
	return nil
}
