package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red: nobody is told; a verdict that is not lossless is a
// success; --all-but leaves nobody; others' ports are not looked at; what is not there is not missed.

func TestRetireFollowsAnInstanceToItsVerdict(t *testing.T) {
	t.Parallel()
	v1 := start(t, "--addr", "127.0.0.1:0", "--release", "retire-v1", "--linger-timeout", "100ms")
	addr := v1.await(t, "state", "serving")["addr"].(string)
	v2 := start(t, "--addr", addr, "--release", "retire-v2", "--linger-timeout", "100ms")
	v2.await(t, "state", "serving")
	if got := call(nil, "retire", "retire-v1"); got.code != 0 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	} else {
		contains(t, got.stdout, "retire-v1 (pid", "told to leave", "steer", "flush", "lossless; 0 requests answered")
	}
	if code := v1.exit(t); code != 0 {
		t.Errorf("v1 left with exit code %d", code)
	}
	pid := fmt.Sprint(v2.Process.Pid)
	got := call(nil, "retire", "--no-wait", "--pid", pid)
	if got.code != 0 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	contains(t, got.stdout, "told to leave")
	if code := v2.exit(t); code != 0 {
		t.Errorf("v2 left with exit code %d", code)
	}
}

func TestARetirementThatLosesIsAFailure(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "retire-cut", "--linger-timeout", "100ms", "--drain-timeout", "500ms")
	addr := p.await(t, "state", "serving")["addr"].(string)
	begun := make(chan struct{})
	go holdOpen("http://"+addr+"/echo", begun)
	<-begun
	if is := mine(t, p)["connections"].(map[string]any); is["active"] != 1.0 {
		t.Errorf("connections: %v", is)
	}
	got := call(nil, "retire", "retire-cut")
	if got.code != exitFailed {
		t.Errorf("exit code %d", got.code)
	}
	contains(t, got.stdout, "not lossless: 1 connection", "1 cut", "had no successor")
	contains(t, got.stderr, "retire-cut (pid", "not lossless")
}

func TestARetirementIsTakenBack(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "retire-undo", "--linger-timeout", "100ms")
	p.await(t, "state", "serving")
	if got := call(nil, "retire", "--undo", "retire-undo"); got.code != 0 || !strings.Contains(got.stdout, "it stays") {
		t.Errorf("exit code %d: %s%s", got.code, got.stdout, got.stderr)
	}
	if is := mine(t, p); is["state"] != "serving" {
		t.Errorf("it is %v", is["state"])
	}
}

func TestOnlyWhoIsThereCanRetire(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "retire-only")
	p.await(t, "state", "serving")
	for _, test := range []struct {
		args []string
		code int
		want []string
	}{
		{nil, exitUsage, []string{"RELEASE, --pid or --all-but", "retire --help"}},
		{[]string{"a", "--pid", "1"}, exitUsage, []string{"in one way"}},
		{[]string{"nobody"}, exitFailed, []string{"no instance of nobody", fmt.Sprintf("retire-only (pid %d)", p.Process.Pid)}},
		{[]string{"--pid", "1"}, exitFailed, []string{"no instance with pid 1"}},
		{[]string{"--all-but", "nobody"}, exitFailed, []string{"no instance of nobody"}},
		{[]string{"--all-but", "retire-only"}, exitFailed, []string{"nobody shares a port with retire-only"}},
		{[]string{"--no-wait", "--undo", "retire-only"}, exitUsage, []string{"not both"}},
	} {
		got := call(nil, append([]string{"retire"}, test.args...)...)
		if got.code != test.code {
			t.Errorf("%v: exit code %d, want %d", test.args, got.code, test.code)
		}
		contains(t, got.stderr, test.want...)
	}
	if is := mine(t, p); is["state"] != "serving" {
		t.Errorf("it is %v", is["state"])
	}
}

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
