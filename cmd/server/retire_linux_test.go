package main

import (
	"fmt"
	"strings"
	"testing"
)

// Broken on purpose, and seen red: nobody is told; a verdict that is not lossless is a
// success; --all-but leaves nobody; what is not there is not missed.

func TestRetireFollowsAnInstanceToItsVerdict(t *testing.T) {
	t.Parallel()
	v1 := start(t, "--addr", "127.0.0.1:0", "--release", "retire-v1", "--linger-timeout", "100ms")
	addr := v1.await(t, "state", "serving")["addr"].(string)
	v2 := start(t, "--addr", addr, "--release", "retire-v2", "--linger-timeout", "100ms")
	v2.await(t, "state", "serving")
	if got := call(nil, "retire", "retire-v1"); got.code != 0 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	} else {
		contains(t, got.stdout, "retire-v1 (pid", "retiring", "steer", "flush", "lossless; 0 requests answered")
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
	contains(t, got.stdout, "not lossless: connections that were busy when they were cut: 1", "1 cut", "had no successor")
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
