package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/wire"
)

// Print writes the report as text.
func Print(w io.Writer, r Report) {
	fmt.Fprintln(w)
	if r.Absent != "" {
		fmt.Fprintf(w, "%s was not run: %s\n", r.System, r.Absent)
		return
	}
	printSums(w, r)
	printLoads(w, r)
	printLatencies(w, r)
	if len(r.Departures) > 0 {
		printDepartures(w, r)
		printCosts(w, r)
	}
	for _, what := range slices.Sorted(maps.Keys(r.Counts)) {
		fmt.Fprintf(w, "%s: %d\n", what, r.Counts[what])
	}
	if r.Wire != nil {
		printWire(w, *r.Wire)
	}
	printTrouble(w, r)
	fmt.Fprintln(w, r.Headline())
}

func printSums(w io.Writer, r Report) {
	var by, probes, failures []string
	for _, s := range r.Releases {
		by = append(by, fmt.Sprintf("%s %d", OrUnnamed(s.Name), s.Answered))
		probes = append(probes, fmt.Sprintf("%s %d", OrUnnamed(s.Name), s.Probes))
	}
	for _, o := range evidence.Losses() {
		failures = append(failures, fmt.Sprintf("%s %d", o, r.Failures[o.String()]))
	}
	fmt.Fprintf(w, "sent %d = answered %d (%s)%s + failed %d (%s)\n",
		r.Sent, r.Answered, strings.Join(by, " + "), neither(r), r.Failed, strings.Join(failures, ", "))
	if len(r.Departures) > 0 {
		fmt.Fprintf(w, "probes for readiness: %s, failed %d\n", strings.Join(probes, ", "), r.ProbesFailed)
	}
}

// neither is what was neither answered nor lost, where there can be such a thing.
func neither(r Report) (text string) {
	if r.Declined > 0 {
		text += fmt.Sprintf(" + declined %d (the server had closed, and said so)", r.Declined)
	}
	if r.Withdrawn > 0 {
		text += fmt.Sprintf(" + withdrawn %d (still open at the load's end)", r.Withdrawn)
	}
	return text
}

func printLoads(w io.Writer, r Report) {
	t := table(w, "load", "sent", "failed", "p50", "p99", "p99.9", "max")
	for _, l := range r.Loads {
		row(t, append([]any{l.Name, l.Sent, l.Failed}, quantiles(l.Latency)...)...)
	}
	t.Flush()
}

func printLatencies(w io.Writer, r Report) {
	t := table(w, "latency", "requests", "p50", "p99", "p99.9", "max", "p99.9 / steady")
	latencyRow(t, "steady", r.Steady, "")
	for _, h := range r.Handovers {
		latencyRow(t, h.From+" to "+h.To, h.Latency, ratio(h.Ratio))
	}
	if len(r.Handovers) > 0 {
		row(t, "median", "", "", "", "", "", ratio(r.MedianRatio))
	}
	t.Flush()
	fmt.Fprintf(w, "(from the moment a request was due; no p99.9 of less than %d requests)\n", trusted)
	if len(r.Handovers) > 0 {
		fmt.Fprintf(w, "(handover: the second around %s; steady: %s)\n", r.Moment, r.SteadyIs)
	}
}

func latencyRow(t *tabwriter.Writer, name string, l Latency, ratio string) {
	cells := append([]any{name, l.Requests}, quantiles(l)...)
	row(t, append(cells, ratio)...)
}

func quantiles(l Latency) []any {
	return []any{orDash(l.P50), orDash(l.P99), orDash(l.P999), orDash(l.Max)}
}

func orDash(s evidence.Seconds) string {
	if s == 0 {
		return "-"
	}
	return s.String()
}

func ratio(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}

func printDepartures(w io.Writer, r Report) {
	t := table(w, "verdict", "lossless", "requests", "answers seen", "abandoned", "expired", "late", "cut", "unacked", "steered", "closed", "exit", "code")
	for _, d := range r.Departures {
		v, seen := d.Verdict, r.answersOf(d.Release)
		if v == nil {
			row(t, d.Release, "no verdict", "", seen, "", "", "", "", "", "", "", d.Exit, d.Code)
			continue
		}
		row(t, d.Release, v.Lossless, v.Requests, seen, v.Abandoned, v.Expired, v.Late, v.Cut, v.Unacknowledged,
			v.Steered(), v.Closed(), d.Exit, d.Code)
	}
	t.Flush()
	fmt.Fprintln(w, "(steered, closed and exit: from SIGTERM on)")
}

func printWire(w io.Writer, t wire.Traffic) {
	table := table(w, "wire "+t.Spec, "packets", "dropped", "", "reordered", "", "overrun")
	for _, d := range []struct {
		name string
		wire.Counts
	}{{"to the servers", t.ToServers}, {"to the clients", t.ToClients}} {
		row(table, d.name, d.Packets, d.Dropped, part(d.Dropped, d.Packets), d.Reordered, part(d.Reordered, d.Packets), d.Overrun)
	}
	table.Flush()
	fmt.Fprintln(w, "(overrun: thrown away by the kernel, because the wire did not keep up)")
}

func part(some, all int) string {
	return fmt.Sprintf("%.2f%%", 100*float64(some)/float64(max(all, 1)))
}

// printTrouble says what went wrong and, where nothing should have, what the
// servers said last.
func printTrouble(w io.Writer, r Report) {
	fmt.Fprintln(w)
	for _, e := range r.Examples {
		fmt.Fprintln(w, "failed, for example:", e)
	}
	for _, d := range r.Disagreements {
		fmt.Fprintln(w, "disagreement:", d)
	}
	if r.Passed() || !r.Judged {
		return
	}
	for _, d := range r.Departures {
		fmt.Fprintf(w, "the log of %s ends with\n  %s\n", d.Release, strings.Join(d.Tail, "\n  "))
	}
}

// Headline says in a line what the run proves.
func (r Report) Headline() string {
	word := "PASS"
	switch {
	case !r.Passed():
		word = "FAIL"
	case r.Loses:
		word = "PASS, this has to lose"
	}
	line := fmt.Sprintf("%s: %d of %d requests lost in %s", word, r.Lost(), r.Sent, Plural(len(r.Handovers), "upgrade"))
	if r.ProbesFailed > 0 {
		line += fmt.Sprintf(" (%d of them probes for readiness, which are not among the %d)", r.ProbesFailed, r.Sent)
	}
	switch {
	case r.Loses && r.Lost() == 0:
		return line + ": something had to be, the client sees nothing"
	case len(r.Handovers) == 0:
		return line + ": nothing is proven"
	case len(r.Disagreements) > 0:
		return line + ", and " + Plural(len(r.Disagreements), "disagreement")
	case !r.Judged && len(r.Departures) > 0:
		return line + " (verdicts are not judged)"
	}
	return line
}

func table(w io.Writer, heads ...any) *tabwriter.Writer {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row(t, heads...)
	return t
}

func row(t *tabwriter.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, c)
	}
	fmt.Fprintln(t)
}

// OrUnnamed is how a release is called that does not say its name.
func OrUnnamed(release string) string {
	if release == "" {
		return "(no Release header)"
	}
	return release
}

// Plural counts a noun.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
