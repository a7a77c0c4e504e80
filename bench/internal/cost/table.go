package cost

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Print prints medians, and beside each how it compares with the base: the median of the ratios
// of each round, and the quartiles of those in parentheses.
func (f Figures) Print(w io.Writer) error {
	for _, l := range f.Loads {
		fmt.Fprintf(w, "%s\n", l.Name)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		base := l.base()
		fmt.Fprintf(t, "\tanswers/s\tof %s\tCPU of one\tof %[1]s\n", base.Name)
		for _, s := range l.Shares {
			fmt.Fprintf(t, "%s\t%.0f\t%s\t%.1f µs\t%s\n", s.Name,
				quartiles(s.Speeds)[1], ratio(s.Speeds, base.Speeds), quartiles(s.CPUs)[1], ratio(s.CPUs, base.CPUs))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "memory\tat rest\tan idle connection")
	for _, m := range f.Memory {
		fmt.Fprintf(t, "%s\t%.1f MB\t%.1f kB\n", m.Name, float64(m.Rest)/1e6, m.Conn/1e3)
	}
	for _, absent := range f.Absent {
		fmt.Fprintf(t, "not installed: %s\n", absent)
	}
	fmt.Fprintln(t, "\nmemory of an upgrade\tidle connections\tprivate")
	for _, h := range f.Both {
		fmt.Fprintf(t, "%s\t%d\t%.1f MB\n", h.Name, h.Conns, float64(h.Private)/1e6)
	}
	fmt.Fprintln(t, "\nlimits\tis\tthe limit\tis\tratio")
	for _, l := range f.Limits {
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s %[3]s\t%[6]s\n", l.Name,
			digits(quartiles(l.Figures)[1]), l.Unit, l.Of, digits(quartiles(l.Limits)[1]), ratio(l.Figures, l.Limits))
	}
	return t.Flush()
}

// digits are three, or all before the point.
func digits(of float64) string {
	if of >= 100 {
		return fmt.Sprintf("%.0f", of)
	}
	return fmt.Sprintf("%.3g", of)
}

// base is the share that the others are compared with.
func (l Load) base() Share {
	i := slices.IndexFunc(l.Shares, func(s Share) bool { return s.Base })
	return l.Shares[i]
}

// ratio compares round by round: what slows the machine down does so for both.
func ratio(of, base []float64) string {
	ratios := make([]float64, len(of))
	for i := range of {
		ratios[i] = of[i] / base[i]
	}
	q := quartiles(ratios)
	return fmt.Sprintf("%.2f (%.2f to %.2f)", q[1], q[0], q[2])
}

// quartiles returns the lower one, the median, and the upper one.
func quartiles(of []float64) (q [3]float64) {
	sorted := slices.Sorted(slices.Values(of))
	for i := range q {
		q[i] = sorted[(len(sorted)-1)*(i+1)/4]
	}
	return q
}
