package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red: ports, or users, are not looked at; nobody is left; the
// first with a number is taken, wherever it is.

// found is an instance on a port.
func found(release, state, addr string, uid int) control.Found {
	return control.Found{Status: control.Status{Release: release, State: state, UID: uid, Ports: []control.Port{{Addr: addr}}}}
}

// numbered is an instance with a pid, in our container or elsewhere.
func numbered(release string, pid int, here bool) control.Found {
	return control.Found{Status: control.Status{Release: release, PID: pid}, Here: here}
}

func TestWhoSharesNoPortIsNotMeant(t *testing.T) {
	stopped := control.Found{Status: control.Status{PID: 7}, Err: errors.New("pid 7 does not answer")}
	for name, test := range map[string]struct {
		sel  selection
		all  []control.Found
		want string // the releases, or an error
	}{
		"all others on its port": {
			selection{allBut: "v2"},
			[]control.Found{found("v1", "serving", ":80", 0), found("v2", "serving", ":80", 0), found("", "serving", ":81", 0), found("v0", "serving", ":80", 7), stopped},
			"v1",
		},
		"one that does not serve yet": {
			selection{allBut: "v2"}, []control.Found{found("v1", "serving", ":80", 0), found("v2", "starting", ":80", 0)}, "nobody would be left",
		},
		"one that serves elsewhere": {
			selection{allBut: "v2"}, []control.Found{found("v1", "serving", ":80", 0), found("v2", "serving", ":81", 0)}, "nobody shares a port",
		},
		"a name of several services": {
			selection{releases: []string{"v1"}}, []control.Found{found("v1", "serving", ":80", 0), found("v1", "serving", ":81", 0)}, "several services",
		},
		"two of one release": {
			selection{releases: []string{"v1"}}, []control.Found{found("v1", "serving", ":80", 0), found("v1", "serving", ":80", 0)}, "v1 v1",
		},
		"a number of one here":          {selection{pids: []int{7}}, []control.Found{numbered("v1", 7, false), numbered("v2", 7, true)}, "v2"},
		"a number of one elsewhere":     {selection{pids: []int{7}}, []control.Found{numbered("v1", 7, false), numbered("v2", 8, true)}, "v1"},
		"a number of several elsewhere": {selection{pids: []int{7}}, []control.Found{numbered("v1", 7, false), numbered("v2", 7, false)}, "name the release"},
		"a number of nobody":            {selection{pids: []int{7}}, []control.Found{numbered("v1", 8, true)}, "no instance with pid 7"},
		"one that does not answer":      {selection{pids: []int{7}}, []control.Found{stopped}, "pid 7 does not answer"},
	} {
		meant, err := test.sel.pick(test.all)
		var got []string
		for _, f := range meant {
			got = append(got, f.Release)
		}
		if err != nil && !strings.Contains(err.Error(), test.want) || err == nil && strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, %v, want %s", name, got, err, test.want)
		}
	}
}

// A program that sets no Options.Release.
func TestAnInstanceWithoutAReleaseIsCalledByItsProgram(t *testing.T) {
	is := control.Found{Status: control.Status{Program: "/srv/api", State: "serving"}}
	if line := table([]control.Found{is}, time.Now())[1]; !strings.HasPrefix(line, "api ") {
		t.Error(line)
	}
	var out strings.Builder
	must(t, handover{Retired: []retiree{{title: titleOf(is.Status)}}, New: taker{title: titleOf(is.Status)}}.print(&out, false))
	if text := out.String(); strings.Count(text, "api") != 3 {
		t.Error(text)
	}
}
