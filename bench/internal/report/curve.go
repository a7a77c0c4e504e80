package report

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/ba995850/overlap/bench/internal/evidence"
)

// Curve says how long the fastest part of the requests took, for every part.
type Curve []Point

// Point is one of a curve.
type Point struct {
	Part    float64 // of the requests, 0 to 1, but not quite 1
	Latency time.Duration
}

// Curves returns what was felt while nothing happened, and in the seconds around the
// handovers' moments.
func Curves(e evidence.Run) (calm, upgrading Curve) {
	h, _ := steady(e)
	near := histogram(e.Records, func(r evidence.Record) bool { return touched(e, r, nearby) })
	return curveOf(h), curveOf(near)
}

func curveOf(h *hdrhistogram.Histogram) (c Curve) {
	all := float64(h.TotalCount())
	if all == 0 {
		return nil
	}
	for _, b := range h.CumulativeDistributionWithTicks(5) {
		p := Point{b.Quantile / 100, time.Duration(b.ValueAt) * time.Microsecond}
		p.Part = min(p.Part, 1-1/all) // the longest of n is the quantile 1-1/n, as far as they can tell
		c = append(c, p)
	}
	return c
}
