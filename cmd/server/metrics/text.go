package metrics

import (
	"io"
	"slices"
	"time"

	"github.com/ba995850/overlap/internal/control"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// Print writes the metrics of the instances that are meant, and what these keep of others,
// in the text format of Prometheus. Each instance has patience to say how it is. Print
// returns how many were meant, and how many of those did not answer: what there is of the
// others is printed nevertheless, so whether that is a failure is up to the caller.
func Print(w io.Writer, patience time.Duration, meant func(control.Found) bool) (asked, silent int, err error) {
	who := &chosen{each: patience, meant: meant}
	families, err := (&scrape{who: who}).Gather()
	if err != nil {
		return 0, 0, err
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return who.n, 0, err
		}
	}
	return who.n, countSilent(families), nil
}

// chosen are the instances that an operator means.
type chosen struct {
	each  time.Duration
	meant func(control.Found) bool
	n     int // how many there were
}

func (c *chosen) patience(string) time.Duration { return c.each }

func (c *chosen) pick(all []control.Found) []control.Found {
	all = slices.DeleteFunc(all, func(f control.Found) bool { return !c.meant(f) })
	c.n = len(all)
	return all
}

func countSilent(families []*dto.MetricFamily) (n int) {
	for _, f := range families {
		if f.GetName() != upShown.name {
			continue
		}
		for _, m := range f.Metric {
			if m.GetGauge().GetValue() == 0 {
				n++
			}
		}
	}
	return n
}
