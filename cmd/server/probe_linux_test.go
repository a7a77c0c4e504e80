package main

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// Broken on purpose, and seen red: one that retires is ready; releases are not looked at;
// all instances are waited for; with --alive, one that retires is dead, or one that is halted
// lives.

func TestProbeSaysByItsExitCodeWhetherAnInstanceIsReady(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "probe-v1", "--linger-timeout", "100ms")
	addr := p.await(t, "state", "serving")["addr"].(string)
	pid := fmt.Sprint(p.Process.Pid)
	probe := func(want int, args ...string) string {
		t.Helper()
		got := call(nil, append([]string{"probe"}, args...)...)
		if got.code != want {
			t.Errorf("%v: exit code %d, want %d: %s", args, got.code, want, got.stderr)
		}
		return got.stderr
	}
	probe(0, "--release", "probe-v1")
	probe(0, "--pid", pid)
	contains(t, probe(exitFailed, "--release", "probe-v2"), "no such instance")
	contains(t, probe(exitFailed, "--release", "probe-v2", "--pid", pid), "no such instance")

	begun := make(chan struct{})
	go holdOpen("http://"+addr+"/echo", begun) // or it would be gone at once
	<-begun
	p.signal(t, syscall.SIGTERM)
	p.await(t, "state", "retiring")
	contains(t, probe(exitFailed, "--pid", pid), "probe-v1 (pid "+pid+") is retiring")
	probe(0, "--alive", "--pid", pid)
	p.halt(t)
	contains(t, probe(exitFailed, "--alive", "--pid", pid), "does not answer")
	contains(t, probe(exitFailed, "--pid", pid), "does not answer")
	p.signal(t, syscall.SIGCONT)
	p.signal(t, usr2)
	p.exit(t)
	contains(t, probe(exitFailed, "--pid", pid), "no such instance")
}

func TestProbeDoesNotWaitForASiblingThatHangs(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "probe-serves")
	hangs := start(t, "--addr", "127.0.0.1:0", "--release", "probe-hangs")
	p.await(t, "state", "serving")
	hangs.await(t, "state", "serving")
	hangs.halt(t)
	defer hangs.signal(t, syscall.SIGCONT)
	began := time.Now()
	if got := call(nil, "probe", "--release", "probe-serves"); got.code != 0 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	if took := time.Since(began); took >= askTimeout {
		t.Errorf("it took %v", took)
	}
}
