package recipe

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Load is the project's bench, driving a service that somebody else upgrades.
type Load struct {
	t      testing.TB
	cmd    *exec.Cmd
	report bytes.Buffer
	text   bytes.Buffer
}

// Report says what became of each request. Nothing is tried twice.
type Report struct {
	Sent     int            `json:"sent"`
	Answered int            `json:"answered"`
	Declined int            `json:"declined"`
	Failed   int            `json:"failed"`
	Failures map[string]int `json:"failures"`
	Releases []struct {
		Name     string `json:"name"`
		Answered int    `json:"answered"`
	} `json:"releases"`
	Examples []string `json:"examples"`
}

// StartLoad drives a service with the bench's usual kinds of load, new connections, kept
// ones, ones with pauses, and POSTs, as fast as answers come: at a pace it would be by chance
// that a request is under way when a release leaves, and a loss could be missed.
func StartLoad(t testing.TB, url string) *Load {
	t.Helper()
	return startLoad(t, url, "--closed", "--clients", "8")
}

// StartPacedLoad drives it at the bench's usual pace, by which costs can be compared.
func StartPacedLoad(t testing.TB, url string) *Load {
	t.Helper()
	return startLoad(t, url)
}

func startLoad(t testing.TB, url string, args ...string) *Load {
	t.Helper()
	l := &Load{t: t}
	// In a process group of its own it is not reached by whom a test interrupts.
	l.cmd = exec.Command(bench, append([]string{"--url", url, "--duration", "15m", "--json"}, args...)...)
	l.cmd.Stdout, l.cmd.Stderr = &l.report, &l.text
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := l.cmd.Start(); err != nil {
		t.Fatalf("bench: %v", err)
	}
	t.Cleanup(func() { l.cmd.Process.Kill(); l.cmd.Wait() })
	return l
}

// Stop ends the load, and returns the account of it, in which every request is.
func (l *Load) Stop() Report {
	l.t.Helper()
	l.cmd.Process.Signal(syscall.SIGINT)
	hang := time.AfterFunc(30*time.Second, func() { l.cmd.Process.Kill() })
	defer hang.Stop()
	l.cmd.Wait() // its exit code says what the report says
	var r Report
	if err := json.Unmarshal(l.report.Bytes(), &r); err != nil {
		l.t.Fatalf("the report of the bench: %v\n%s", err, l.text.Bytes())
	}
	if r.Sent == 0 || r.Sent != r.Answered+r.Declined+r.Failed {
		l.t.Fatalf("the account does not add up: sent %d, answered %d, declined %d, failed %d", r.Sent, r.Answered, r.Declined, r.Failed)
	}
	return r
}

// StopLossless ends the load, and fails the test unless every request was answered, by these
// releases and nobody else, and each of them has answered some.
func (l *Load) StopLossless(releases ...string) Report {
	l.t.Helper()
	r := l.Stop()
	l.t.Logf("%d requests sent, %d lost; answered by %v", r.Sent, r.Failed+r.Declined, r.Releases)
	if r.Answered != r.Sent {
		l.t.Errorf("%d of %d requests lost: %v %v\n%s", r.Sent-r.Answered, r.Sent, r.Failures, r.Examples, l.text.Bytes())
	}
	for _, release := range releases {
		if r.By(release) == 0 {
			l.t.Errorf("%s answered nothing: %v", release, r.Releases)
		}
	}
	if len(r.Releases) != len(releases) {
		l.t.Errorf("others than %v have answered: %v", releases, r.Releases)
	}
	return r
}

// By returns how many requests a release answered.
func (r Report) By(release string) int {
	for _, by := range r.Releases {
		if by.Name == release {
			return by.Answered
		}
	}
	return 0
}
