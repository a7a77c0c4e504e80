package overlap

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkIdleHandover is how long an instance without connections takes to get
// ready, and to leave to a successor, as real processes do: medians, in
// milliseconds. Of steered-ms one membarrier(2) is the larger part; see
// BenchmarkGracePeriod in internal/listen.
func BenchmarkIdleHandover(b *testing.B) {
	var ready, steered, exited []float64
	current := start(b, "serve", config{Release: "v1"})
	for b.Loop() {
		began := time.Now()
		next := start(b, "serve", config{Release: "v2", Addr: current.addr})
		ready = append(ready, ms(time.Since(began)))

		began = time.Now()
		current.retire()
		v := current.verdict()
		exited = append(exited, ms(time.Since(began)))
		steered = append(steered, ms(v.Phases[PhaseSteer]))
		if !v.Lossless {
			b.Fatalf("verdict: %+v", v)
		}
		current = next
	}
	b.ReportMetric(median(ready), "ready-ms")
	b.ReportMetric(median(steered), "steered-ms")
	b.ReportMetric(median(exited), "exit-ms")
}

// BenchmarkHandoverInAGroup measures how a retirement grows with the members of the group, for
// it makes 22 probes for each: what it takes until it is steered, and until it has left; and the
// CPU of an instance without requests, from start to exit.
func BenchmarkHandoverInAGroup(b *testing.B) {
	for _, members := range []int{2, 4, 8, 16, 32} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			group := []*instance{start(b, "serve", config{})}
			join := func() { group = append(group, start(b, "serve", config{Addr: group[0].addr})) }
			for range members - 1 {
				join()
			}
			var steered, exited, spent []float64
			for b.Loop() {
				oldest := group[0]
				began := time.Now()
				v := oldest.leaves()
				exited = append(exited, ms(time.Since(began)))
				steered = append(steered, ms(v.Phases[PhaseSteer]))
				spent = append(spent, ms(oldest.cmd.ProcessState.UserTime()+oldest.cmd.ProcessState.SystemTime()))
				group = group[1:]
				join()
			}
			b.ReportMetric(median(steered), "steered-ms")
			b.ReportMetric(median(exited), "exit-ms")
			b.ReportMetric(median(spent), "cpu-ms")
		})
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
