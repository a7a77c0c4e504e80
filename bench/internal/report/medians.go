package report

import "github.com/ba995850/overlap/bench/internal/evidence"

// Medians are those of the upgrades: the p99.9 around them, and the time and the CPU that
// a release took to leave. What is not known is 0.
func (r Report) Medians() (around, exit, cpu evidence.Seconds) {
	var arounds, exits, cpus []float64
	for _, h := range r.Handovers {
		if h.Latency.P999 > 0 {
			arounds = append(arounds, float64(h.Latency.P999))
		}
	}
	for _, d := range r.succeeded() {
		exits, cpus = append(exits, float64(d.Exit)), append(cpus, float64(d.CPU))
	}
	return evidence.Seconds(Median(arounds)), evidence.Seconds(Median(exits)), evidence.Seconds(Median(cpus))
}

// succeeded are the departures of releases that had a successor.
func (r Report) succeeded() []evidence.Departure {
	return r.Departures[:min(len(r.Handovers), len(r.Departures))]
}

// PerMillion is how many requests of a million were lost.
func (r Report) PerMillion() float64 {
	if r.Sent == 0 {
		return 0
	}
	return float64(r.Lost()) * 1e6 / float64(r.Sent)
}
