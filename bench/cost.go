package main

import (
	"fmt"
	"io"
	"strings"
)

// phases are those of a verdict, in their order.
var phases = [...]string{"steer", "settle", "close", "linger", "finish", "flush", "cut"}

// printCosts says what a retirement took: the medians of those that had a successor.
func printCosts(w io.Writer, r report) {
	var verdicts []*verdict
	var cpu, exit []float64
	for _, d := range r.Departures[:min(len(r.Handovers), len(r.Departures))] {
		if d.Verdict != nil {
			verdicts = append(verdicts, d.Verdict)
			cpu, exit = append(cpu, float64(d.CPU)), append(exit, float64(d.Exit))
		}
	}
	if len(verdicts) == 0 {
		return
	}
	var parts []string
	for _, phase := range phases {
		if took, reached := medianPhase(verdicts, phase); reached {
			parts = append(parts, fmt.Sprintf("%s %v", phase, took))
		}
	}
	fmt.Fprintf(w, "one retirement (median of %d): %s; exit %v, CPU %v\n",
		len(verdicts), strings.Join(parts, ", "), seconds(median(exit)), seconds(median(cpu)))
}

func medianPhase(verdicts []*verdict, phase string) (took seconds, reached bool) {
	var all []float64
	for _, v := range verdicts {
		if t, ok := v.Phases[phase]; ok {
			all = append(all, float64(t))
		}
	}
	return seconds(median(all)), len(all) > 0
}
