package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram returns the program as a process, which is killed when the test ends.
func asProgram(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	return cmd
}

// How long "server status" takes, as a process, with fifty instances to ask. root has them in
// a network of their own: the thread is locked and never given back. Another user has no
// others in sight, but his own.
func BenchmarkStatusWithFiftyInstances(b *testing.B) {
	const instances = 50
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		must(b, syscall.Unshare(syscall.CLONE_NEWNET))
		must(b, loopbackUp())
	}
	for range instances {
		p := asProgram(b, "serve", "--addr", "127.0.0.1:0", "--release", "fifty", "--log-level", "error")
		must(b, p.Start())
		b.Cleanup(func() { p.Wait() })
	}
	serving := func() int {
		out, _ := asProgram(b, "status", "--json").Output()
		return strings.Count(string(out), `"release":"fifty"`) - strings.Count(string(out), `"state":"starting"`)
	}
	for deadline := time.Now().Add(time.Minute); serving() < instances; {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d serve", serving(), instances)
		}
	}
	var slowest time.Duration
	for b.Loop() {
		began := time.Now()
		must(b, asProgram(b, "status").Run())
		slowest = max(slowest, time.Since(began))
	}
	b.ReportMetric(slowest.Seconds(), "s/slowest")
}
