package page

import (
	"strings"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// File is a picture as a file.
type File struct{ Name, Text string }

// Pictures returns the pictures of the first upgraded run of each system, for light and
// for dark surroundings: a timeline of one upgrade, one of the whole run, and the
// percentiles. Those of overlap have no system in their names.
func Pictures(files []evidence.File) (all []File) {
	done := map[string]bool{}
	for _, f := range files {
		for _, run := range f.Runs {
			system := run.Subject.System
			if done[system] || len(run.Handovers) == 0 {
				continue
			}
			done[system] = true
			all = append(all, picturesOf(run, f.Header, suffix(system))...)
		}
	}
	return all
}

func suffix(system string) string {
	if system == "overlap" {
		return ""
	}
	return "-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(system))
}

func picturesOf(run evidence.Run, h evidence.Header, suffix string) (all []File) {
	for _, p := range []struct {
		name    string
		picture picture
	}{
		{"upgrade", closeUp(run).draw(wide)},
		{"run", wholeRun(run).draw(wide)},
		{"percentiles", percentiles(run, wide)},
	} {
		signed := p.picture.signed(h)
		all = append(all,
			File{p.name + suffix + "-light.svg", signed.file(false)},
			File{p.name + suffix + "-dark.svg", signed.file(true)})
	}
	return all
}
