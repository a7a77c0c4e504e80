package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// Compared are runs of several systems under the same load.
type Compared []Report

// Compare returns those of the runs that were made to be compared: with --peers.
func Compare(all []Report) Compared {
	return slices.DeleteFunc(slices.Clone(all), func(r Report) bool { return r.Scenario != evidence.Peers })
}

// Loads are the names of their loads.
func (c Compared) Loads() (names []string) {
	for _, r := range c {
		for _, l := range r.Loads {
			if !slices.Contains(names, l.Name) {
				names = append(names, l.Name)
			}
		}
	}
	return names
}

// cells are a line of the table for each system, below the heads.
func (c Compared) cells() (rows [][]string) {
	heads := []string{"system", "upgraded by", "lost"}
	heads = append(heads, c.Loads()...)
	rows = append(rows, append(heads, "upgrades", "p99.9", "at upgrades"))
	for _, r := range c {
		row := []string{strings.TrimSpace(r.System + " " + r.Version), r.Method}
		if r.Absent != "" {
			rows = append(rows, append(row, "not run: "+r.Absent))
			continue
		}
		row = append(row, fmt.Sprintf("%d of %d", r.Failed, r.Sent))
		for _, load := range c.Loads() {
			row = append(row, r.LostOf(load))
		}
		around, _, _ := r.Medians()
		rows = append(rows, append(row, fmt.Sprint(len(r.Handovers)), orDash(r.Steady.P999), orDash(around)))
	}
	return rows
}

// LostOf is what was lost of a load, and of how many, or a dash where there was no such load.
func (r Report) LostOf(load string) string {
	for _, l := range r.Loads {
		if l.Name == load {
			return fmt.Sprintf("%d of %d", l.Failed, l.Sent)
		}
	}
	return "-"
}

const comparedNote = "lost: of all requests, and of each load; p99.9: of the latency while nobody is upgraded, and in the second around an upgrade, the median"

// Print writes the table as text. Of no systems it is empty.
func (c Compared) Print(w io.Writer) {
	if len(c) == 0 {
		return
	}
	rows := c.cells()
	t := table(w, anys(rows[0])...)
	for _, cells := range rows[1:] {
		row(t, anys(cells)...)
	}
	t.Flush()
	fmt.Fprintf(w, "(%s)\n", comparedNote)
}

// Markdown writes the tables of what was compared, each with where it comes from.
func Markdown(w io.Writer, files []evidence.File) error {
	out := bufio.NewWriter(w)
	found := false
	for _, f := range files {
		var all []Report
		for _, run := range f.Runs {
			all = append(all, Of(run))
		}
		if c := Compare(all); len(c) > 0 {
			found = true
			c.markdown(out, f.Header)
		}
	}
	if !found {
		return errors.New("nothing was compared in these files: make one with --peers all --raw FILE")
	}
	return out.Flush()
}

func (c Compared) markdown(w io.Writer, h evidence.Header) {
	rows := c.cells()
	for i, cells := range rows {
		for len(cells) < len(rows[0]) {
			cells = append(cells, "")
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(cells)))
		}
	}
	fmt.Fprintf(w, "\n`%s`  \n%s\n", h.Shell(), h.Origin())
}

func anys(of []string) (all []any) {
	for _, s := range of {
		all = append(all, s)
	}
	return all
}
