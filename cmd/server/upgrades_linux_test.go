package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// Many upgrades by the command, under load, each of which has to be lossless, and the sums
// have to agree: what the clients sent is what they got answers to, and what the releases say
// that they have answered.
//
// Broken on purpose, and seen red: the releases leave as --retire plain does; one request of
// the clients is not counted; a release counts one more; nobody kills
// what a test has left.

// upgradesEnv is how many there are; bench/reach.sh makes a hundred.
const upgradesEnv = "OVERLAP_UPGRADES"

func upgrades() int {
	n, _ := strconv.Atoi(os.Getenv(upgradesEnv))
	return cmp.Or(n, 5)
}

// command runs the program as a process, and returns what it wrote.
func command(t testing.TB, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asServer+"=1", "XDG_STATE_HOME="+t.TempDir())
	var told lines
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("server %v: %v\n%s%s", args, err, out, told.String())
	}
	return string(out)
}

// fleet is releases of one service that follow each other.
type fleet struct {
	addr     string
	prefix   string
	n        int
	answered int64 // by those that have left, as they say
}

// first starts the first release.
func first(t testing.TB) *fleet {
	t.Helper()
	addr := freeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	f := &fleet{addr: addr, prefix: fmt.Sprintf("fleet%d-%s-", os.Getpid(), port)}
	t.Cleanup(func() { f.kill(t) })
	p := sib(t, `exec "$SERVER" serve --release `+f.name()+f.flags())
	_, err := p.awaitServing(t.Context(), p.owns, false)
	must(t, err)
	return f
}

func (f *fleet) name() string { return f.prefix + fmt.Sprint(f.n) }

func (f *fleet) flags() string {
	return " --addr " + f.addr + " --linger-timeout 300ms --access-log=false --log-level error"
}

// upgrade starts the next release by the command.
func (f *fleet) upgrade(t testing.TB) handover {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	f.n++
	var h handover
	out := command(t, "upgrade", "--json", "--", "sh", "-c", self+" serve --release "+f.name()+f.flags())
	must(t, json.Unmarshal([]byte(out), &h))
	f.answered += h.Retired[0].Verdict.Requests
	return h
}

// last ends the last release.
func (f *fleet) last(t testing.TB) {
	t.Helper()
	all, err := (selection{releases: []string{f.name()}}).find(t.Context())
	must(t, err)
	f.answered += all[0].Requests
	command(t, "retire", f.name())
}

// kill ends the releases that a test which fails has left: they outlive it, each in a
// session of its own.
func (f *fleet) kill(t testing.TB) {
	all, err := control.Find(context.Background(), askTimeout) // the context of the test has ended
	if err != nil {
		t.Error(err)
	}
	for _, is := range all {
		if is.Here && strings.HasPrefix(is.Release, f.prefix) {
			t.Logf("%s was left", nameOf(is))
			syscall.Kill(is.PID, syscall.SIGKILL)
		}
	}
}

func TestAFleetIsNotLeftWhenItsTestEnds(t *testing.T) {
	var left string
	t.Run("one that does not retire the last", func(t *testing.T) {
		f := first(t)
		f.upgrade(t)
		left = f.name()
	})
	eventually(t, func() bool {
		is, err := findOne(t.Context(), func(f control.Found) bool { return f.Release == left })
		return err == nil && is.Instance == ""
	})
}

func TestUpgradesByTheCommandLoseNothingAndTheCountsAgree(t *testing.T) {
	f := first(t)
	load := crowdAt(f.addr, 16)
	for i := range upgrades() {
		if h := f.upgrade(t); !h.Lossless || len(h.Retired) != 1 || !h.Retired[0].Verdict.Successor {
			t.Fatalf("upgrade %d: %+v", i+1, h)
		}
	}
	load.stop(t)
	f.last(t)
	t.Logf("%d upgrades: the releases say that they answered %d", upgrades(), f.answered)
	if n := load.answered.Load(); n != f.answered {
		t.Errorf("they answered %d, and say that they answered %d", n, f.answered)
	}
}

// At whatever moment the new release dies: either it has taken over, or the old one serves.
func TestSomebodyServesWheneverTheNewReleaseDies(t *testing.T) {
	for i, delay := range []string{"0", "0.02", "0.04", "0.08", "0.2"} {
		f := first(t)
		f.n++
		script := fmt.Sprintf(`"$0" serve --release %[1]s%[2]s & until "$0" probe --release %[1]s; do :; done; sleep %[3]s; kill -9 $!`, f.name(), f.flags(), delay)
		self, err := os.Executable()
		must(t, err)
		cmd := exec.Command(self, "upgrade", "--json", "--", "sh", "-c", script, self)
		cmd.Env = append(os.Environ(), asServer+"=1", "XDG_STATE_HOME="+t.TempDir())
		out, err := cmd.Output()
		var h handover
		if len(out) > 0 {
			must(t, json.Unmarshal(out, &h))
		}
		switch tookOver := len(h.Retired) == 1 && h.Retired[0].Verdict.Successor; {
		case tookOver: // and then it has died
			continue
		case err == nil:
			t.Errorf("%s: nobody took over, and the exit code is 0: %s", delay, out)
		}
		old, err := findOne(t.Context(), func(is control.Found) bool { return is.Release == f.prefix+"0" })
		if err != nil || old.State != "serving" {
			t.Errorf("%s: %v, the old one is %q", delay, err, old.State)
		}
		f.n = 0
		f.last(t)
		t.Logf("upgrade %d was backed out of", i)
	}
}

func BenchmarkUpgradeOfAnIdleService(b *testing.B) {
	f := first(b)
	var took time.Duration
	for b.Loop() {
		began := time.Now()
		f.upgrade(b)
		took = max(took, time.Since(began))
	}
	b.ReportMetric(took.Seconds(), "s/slowest")
	f.last(b)
}
