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
	Compared  bool   // some scenario was run with Shutdown alone, too
	Peers     *peers // nil: nothing was compared
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

// FailedOfAMillion leaves out the bench's own requests for readiness, which peers have not.
func (r row) FailedOfAMillion() float64 { return float64(r.Failed) * 1e6 / float64(max(r.Sent, 1)) }

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
	if v.Peers != nil && !v.Peers.several() {
		v.Peers = nil
	}
	v.compare()
	v.Sum = sumOf(v.Scenarios, files[0].Header)
	return v
}

// add puts a run in all places where it belongs.
func (v *view) add(run evidence.Run, main string) {
	r := newRow(run)
	if r.Scenario == evidence.Peers {
		v.addPeer(r)
	}
	if run.Subject.Absent != "" {
		return
	}
	v.Runs = append(v.Runs, r)
	if run.Subject.System == main || run.About.Loses {
		v.Scenarios = append(v.Scenarios, r)
	}
	if run.Subject.System != main && run.Subject.System != netHTTP || v.featured(run.Subject.System) || len(run.Handovers) == 0 {
		return
	}
	f := featureOf(r, run)
	v.Features = append(v.Features, f)
	if run.Subject.System == main {
		v.Main = &f
	}
}

// netHTTP is the system that shows what happens without overlap.
const netHTTP = "net/http"

func (v *view) featured(system string) bool {
	return slices.ContainsFunc(v.Features, func(f feature) bool { return f.About.Subject.System == system })
}

// peers are systems that were compared.
type peers struct {
	Rows []row
}

func (v *view) addPeer(r row) {
	if v.Peers == nil {
		v.Peers = &peers{}
	}
	v.Peers.Rows = append(v.Peers.Rows, r)
}

// several reports whether there is more than one system.
func (p peers) several() bool {
	return slices.ContainsFunc(p.Rows, func(r row) bool { return r.System != p.Rows[0].System })
}

// Loads are the names of the loads that they were under.
func (p peers) Loads() []string {
	var all report.Compared
	for _, r := range p.Rows {
		all = append(all, r.Report)
	}
	return all.Loads()
}

// Columns are those behind the system.
func (p peers) Columns() int { return 5 + len(p.Loads()) }

// originsOf returns the machines, each with the commands that ran there.
func originsOf(files []evidence.File) (all []origin) {
	for _, f := range files {
		i := slices.IndexFunc(all, func(o origin) bool { return o.Machine == f.Machine })
		if i < 0 {
			i = len(all)
			all = append(all, origin{Header: f.Header})
		}
		all[i].Commands = append(all[i].Commands, f.Header.Shell())
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
			if r.About.Name == v.Scenarios[i].About.Name && r.About.Subject.System == netHTTP && v.Scenarios[i].About.Subject.System != netHTTP {
				v.Scenarios[i].Plain, v.Compared = r, true
			}
		}
	}
}

func sumOf(rows []row, h evidence.Header) sum {
	s := sum{Passed: true, Kernel: h.Machine.Kernel, Date: h.Began}
	for _, r := range rows {
		if r.Loses {
			s.Passed = s.Passed && r.Passed() // but what it has to lose is no loss of the system's
			continue
		}
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
