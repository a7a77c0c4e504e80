package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red: ports, or users, are not looked at; nobody is left.

// found is an instance on a port.
func found(release, state, addr string, uid int) control.Found {
	return control.Found{Status: control.Status{Release: release, State: state, UID: uid, Ports: []control.Port{{Addr: addr}}}}
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
		"one that does not answer": {selection{pids: []int{7}}, []control.Found{stopped}, "pid 7 does not answer"},
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
