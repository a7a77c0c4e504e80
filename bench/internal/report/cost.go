package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// printCosts says what a retirement took: the medians of those that had a successor.
func printCosts(w io.Writer, r Report) {
	var verdicts []*evidence.Verdict
	var cpu, exit []float64
	for _, d := range r.succeeded() {
		if d.Verdict != nil {
			verdicts = append(verdicts, d.Verdict)
			cpu, exit = append(cpu, float64(d.CPU)), append(exit, float64(d.Exit))
		}
	}
	if len(verdicts) == 0 {
		return
	}
	var parts []string
	for _, phase := range evidence.Phases {
		if took, reached := medianPhase(verdicts, phase); reached {
			parts = append(parts, fmt.Sprintf("%s %v", phase, took))
		}
	}
	fmt.Fprintf(w, "one retirement (median of %d): %s; exit %v, CPU %v\n",
		len(verdicts), strings.Join(parts, ", "), evidence.Seconds(Median(exit)), evidence.Seconds(Median(cpu)))
}

func medianPhase(verdicts []*evidence.Verdict, phase string) (took evidence.Seconds, reached bool) {
	var all []float64
	for _, v := range verdicts {
		if t, ok := v.Phases[phase]; ok {
			all = append(all, float64(t))
		}
	}
	return evidence.Seconds(Median(all)), len(all) > 0
}
