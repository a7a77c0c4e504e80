package recipe

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Job is a command in the foreground of an operator's terminal, while the test goes on.
type Job struct {
	t    testing.TB
	cmd  *exec.Cmd
	said strings.Builder
}

// Start starts a command as a job.
func Start(t testing.TB, name string, args ...string) *Job {
	t.Helper()
	j := &Job{t: t, cmd: command(name, args...)}
	j.cmd.Stdout, j.cmd.Stderr = &j.said, &j.said
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	j.cmd.WaitDelay = time.Second // not for what it leaves in the background
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return j
}

// Signal signals the job as a terminal does: INT at Ctrl-C, HUP when it goes away, to all of
// its processes.
func (j *Job) Signal(signal syscall.Signal) {
	j.t.Helper()
	if err := syscall.Kill(-j.cmd.Process.Pid, signal); err != nil {
		j.t.Fatal(err)
	}
}

// Fails waits for its end, which has to be a failure, and returns what it has printed.
func (j *Job) Fails() string {
	j.t.Helper()
	err := j.cmd.Wait()
	j.t.Logf("%s (%v)\n%s", j.cmd, err, j.said.String())
	if err == nil {
		j.t.Errorf("%s has not failed", j.cmd)
	}
	return j.said.String()
}

// Succeeds waits for its end, which must not be a failure.
func (j *Job) Succeeds() {
	j.t.Helper()
	err := j.cmd.Wait()
	j.t.Logf("%s (%v)\n%s", j.cmd, err, j.said.String())
	if err != nil {
		j.t.Errorf("%s: %v", j.cmd, err)
	}
}

// StopUpgrade begins an upgrade to v2, sees that a second one is refused meanwhile, and ends
// the first by a signal: v1 has to stay in place.
func StopUpgrade(t testing.TB, upgrade string, signal syscall.Signal) {
	t.Helper()
	job := Start(t, upgrade, "v2", "--soak", "30s")
	Eventually(t, "v2 serves", func() bool { return Serving("v2") })
	if out := Fails(t, upgrade, "v2"); !strings.Contains(out, "another upgrade is under way") {
		t.Error("the second does not say that another one is under way")
	}
	job.Signal(signal)
	if out := job.Fails(); !strings.Contains(out, "v1 is still in place") {
		t.Errorf("after %v it does not say that v1 is still in place", signal)
	}
}
