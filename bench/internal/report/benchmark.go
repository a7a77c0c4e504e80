package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// units are those that need to be told about. A loss is exact: it has no spread that
// could excuse it.
const units = `Unit lost better=lower assume=exact
Unit lost-ppm better=lower
Unit p50-sec better=lower
Unit p99-sec better=lower
Unit p99.9-sec better=lower
Unit upgrade-p99.9-sec better=lower
Unit exit-sec better=lower
Unit exit-cpu-sec better=lower
`

// Benchmarks writes the runs in Go's benchmark format, a line for each, for benchstat.
func Benchmarks(w io.Writer, files []evidence.File) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, units)
	for _, f := range files {
		writeMachine(out, f.Header)
		for _, run := range f.Runs {
			if run.Subject.Absent == "" {
				writeBenchmark(out, run)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write benchmarks: %w", err)
	}
	return nil
}

func writeMachine(w io.Writer, h evidence.Header) {
	fmt.Fprintln(w)
	for _, line := range [][2]string{
		{"goos", h.Machine.OS}, {"goarch", h.Machine.Arch}, {"pkg", "github.com/ba995850/overlap/bench"},
		{"cpu", h.Machine.CPU}, {"kernel", h.Machine.Kernel}, {"go", h.Machine.Go}, {"commit", h.Machine.Commit},
	} {
		if line[1] != "" {
			fmt.Fprintf(w, "%s: %s\n", line[0], line[1])
		}
	}
}

// writeBenchmark writes one line. Its number of iterations is that of the requests.
func writeBenchmark(w io.Writer, run evidence.Run) {
	r := Of(run)
	name := "BenchmarkUpgrade/system=" + word(run.Subject.System) + "/scenario=" + word(run.Name)
	if run.Name == evidence.Peers { // a system can be there in several ways
		name += "/by=" + word(run.Subject.Method)
	}
	fmt.Fprintf(w, "%s\t%d\t%d lost\t%g lost-ppm", name, max(r.Sent, 1), r.Lost(), r.PerMillion())
	around, exit, cpu := r.Medians()
	for _, v := range []struct {
		value evidence.Seconds
		unit  string
	}{
		{r.Steady.P50, "p50-sec"}, {r.Steady.P99, "p99-sec"}, {r.Steady.P999, "p99.9-sec"},
		{around, "upgrade-p99.9-sec"}, {exit, "exit-sec"}, {cpu, "exit-cpu-sec"},
	} {
		if v.value > 0 {
			fmt.Fprintf(w, "\t%g %s", float64(v.value), v.unit)
		}
	}
	fmt.Fprintln(w)
}

// word is a name as a benchmark can have it.
func word(name string) string {
	if name == "" {
		return "mixed"
	}
	return strings.NewReplacer(", ", "-", " ", "-", "/", "-", "=", "-").Replace(name)
}
