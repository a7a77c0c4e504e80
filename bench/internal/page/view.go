package page

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/report"
)

// view is what the page says, in the order in which it says it.
type view struct {
	Style     template.CSS
	Sum       sum
	Features  []feature
	Scenarios []row
	Compared  bool // some scenario was run with Shutdown alone, too
	Peers     []row
	Runs      []row
	Origins   []origin
	Main      *feature // of the system that this is about; nil: it was not upgraded
}

// sum is the verdict on all runs of the system that this is about.
type sum struct {
	System                        string
	Date                          time.Time
	Sent, Answered, Other, Failed int
	Lost, Upgrades                int
	Passed                        bool
	Kernel                        string
}

// UpgradesSaid says how many there were.
func (s sum) UpgradesSaid() string { return report.Plural(s.Upgrades, "upgrade") }

// Title is what a browser shows of the page.
func (s sum) Title() string {
	return fmt.Sprintf("%s: %s of %s requests lost", s.System, grouped(s.Lost), grouped(s.Sent))
}

// feature is a run that is looked at closely.
type feature struct {
	row
	Timeline, Percentiles figure
}

// order puts the system first that the page is about.
func (f feature) order(main string) int {
	if f.About.Subject.System == main {
		return 0
	}
	return 1
}

// origin is where and how runs were made.
type origin struct {
	evidence.Header
	Commands []string
}

// row is a run, and what it comes to.
type row struct {
	About evidence.About
	report.Report
	Upgrades int
	Around   evidence.Seconds // the median p99.9 around its handovers, or 0
	Exit     evidence.Seconds // the median time that a release took to leave
	Plain    *row             // the same scenario with Shutdown alone, or nil
	Text     string           // as the terminal shows it
	Whole    figure
}

// Title is the scenario's name, or what it is when it has none.
func (r row) Title() string { return cmp.Or(r.About.Name, "mixed load") }

func newView(files []evidence.File) view {
	v := view{Style: template.CSS(variables() + pageStyle + chartStyle), Origins: originsOf(files)}
	var runs []evidence.Run
	for _, f := range files {
		runs = append(runs, f.Runs...)
	}
	main := mainSystem(runs)
	for _, run := range runs {
		v.add(run, main)
	}
	slices.SortStableFunc(v.Features, func(a, b feature) int { return cmp.Compare(a.order(main), b.order(main)) })
	v.compare()
	v.Peers = v.withPeers()
	v.Sum = sumOf(v.Scenarios, files[0].Header)
	return v
}

// add puts a run in all places where it belongs.
func (v *view) add(run evidence.Run, main string) {
	r := newRow(run)
	v.Peers = append(v.Peers, r)
	if run.Subject.Absent != "" {
		return
	}
	v.Runs = append(v.Runs, r)
	if run.Subject.System == main {
		v.Scenarios = append(v.Scenarios, r)
	}
	if len(run.Handovers) == 0 || slices.ContainsFunc(v.Features, func(f feature) bool { return f.About.Subject.System == run.Subject.System }) {
		return
	}
	f := featureOf(r, run)
	v.Features = append(v.Features, f)
	if run.Subject.System == main {
		v.Main = &f
	}
}

// withPeers are the rows whose load another system met, too, or should have.
func (v *view) withPeers() (rows []row) {
	for _, r := range v.Peers {
		if slices.ContainsFunc(v.Peers, func(p row) bool {
			return p.About.Name == r.About.Name && p.About.Subject.System != r.About.Subject.System
		}) {
			rows = append(rows, r)
		}
	}
	return rows
}

// originsOf returns the machines, each with the commands that ran there.
func originsOf(files []evidence.File) (all []origin) {
	for _, f := range files {
		i := slices.IndexFunc(all, func(o origin) bool { return o.Machine == f.Machine })
		if i < 0 {
			i = len(all)
			all = append(all, origin{Header: f.Header})
		}
		all[i].Commands = append(all[i].Commands, command(f.Header))
	}
	return all
}

// mainSystem is what the page is about: overlap, where it was run, else whatever was
// run first.
func mainSystem(runs []evidence.Run) string {
	for _, r := range runs {
		if r.Subject.System == "overlap" {
			return "overlap"
		}
	}
	return runs[0].Subject.System
}

// compare finds the runs of the same scenarios in which net/http left by itself.
func (v *view) compare() {
	for i := range v.Scenarios {
		for j := range v.Runs {
			r := &v.Runs[j]
			if r.About.Name == v.Scenarios[i].About.Name && r.About.Subject.System == "net/http" && v.Scenarios[i].About.Subject.System != "net/http" {
				v.Scenarios[i].Plain, v.Compared = r, true
			}
		}
	}
}

func sumOf(rows []row, h evidence.Header) sum {
	s := sum{Passed: true, Kernel: h.Machine.Kernel, Date: h.Began}
	for _, r := range rows {
		s.System = r.About.Subject.System
		s.Sent += r.Sent
		s.Answered += r.Answered
		s.Other += r.Declined + r.Withdrawn
		s.Failed += r.Failed
		s.Lost += r.Lost()
		s.Upgrades += r.Upgrades
		s.Passed = s.Passed && r.Passed()
	}
	return s
}

func newRow(run evidence.Run) row {
	r := row{About: run.About, Report: report.Of(run), Upgrades: len(run.Handovers)}
	r.Around, r.Exit, _ = r.Medians()
	var text strings.Builder
	report.Print(&text, r.Report)
	r.Text = strings.TrimSpace(text.String())
	r.Whole = figureOf(wholeRun(run).draw)
	return r
}

func featureOf(r row, run evidence.Run) feature {
	return feature{row: r, Timeline: figureOf(closeUp(run).draw), Percentiles: figureOf(func(width px) picture { return percentiles(run, width) })}
}

// command is how the file was made, as a shell takes it.
func command(h evidence.Header) string {
	words := slices.Clone(h.Command)
	for i, w := range words {
		if strings.ContainsAny(w, " \t\"'$&|;<>()*?[]") || w == "" {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
