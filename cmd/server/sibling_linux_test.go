package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red: only the process itself is looked at, not its session; a
// sibling that has ended is waited for; stop leaves what the sibling has started; a number
// is its own also in another container.

// sib starts a shell script as a sibling, in which $SERVER is the program.
func sib(t testing.TB, script string) *sibling {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(cmd.Environ(), asServer+"=1", "SERVER="+self)
	s, err := startSibling(cmd)
	must(t, err)
	t.Cleanup(func() { s.kill() }) // a group that has gone is an error
	return s
}

func TestASiblingIsFoundInItsSession(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	s := sib(t, `"$SERVER" serve --addr 127.0.0.1:0 --release sib; exit 7`)
	is, err := s.awaitServing(ctx, s.owns, false)
	must(t, err)
	if is.Release != "sib" || is.PID == s.process.Pid {
		t.Errorf("found %s (pid %d)", is.Release, is.PID)
	}
	if is.Here = false; s.owns(is) {
		t.Error("its number is its own in another container, too")
	}
	must(t, s.stop())
	<-s.ended
	if after, err := findOne(ctx, func(f control.Found) bool { return f.PID == is.PID }); err != nil || after.Instance != "" {
		t.Errorf("it was not stopped: %v, %v", after, err)
	}
}

func TestASiblingThatEndsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := sib(t, "exit 7")
	_, err := s.awaitServing(t.Context(), s.owns, true)
	if err == nil || !strings.Contains(err.Error(), "ended before it was ready: exit status 7") {
		t.Error(err)
	}
	s = sib(t, "exit 0")
	if _, err := s.awaitServing(t.Context(), s.owns, false); err == nil || !strings.Contains(err.Error(), "exit code 0") {
		t.Error(err)
	}
	<-s.ended // so that the time is left for what comes after
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	if _, err := s.awaitServing(ctx, s.owns, true); err == nil || !strings.Contains(err.Error(), "it has opened no endpoint") {
		t.Error(err)
	}
}

func TestASiblingThatDoesNotServeIsNotReady(t *testing.T) {
	t.Parallel()
	s := sib(t, `exec "$SERVER" serve --addr 127.0.0.1:0 --release stuck --dark`)
	eventually(t, func() bool {
		is, err := findOne(t.Context(), s.owns)
		return err == nil && is.State == "dark"
	})
	notReady := func(says string) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		_, err := s.awaitServing(ctx, s.owns, false)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	notReady("leave out --dark")
	(&process{Cmd: &exec.Cmd{Process: s.process}}).halt(t)
	notReady("not ready in time: process")
	must(t, s.kill())
}
