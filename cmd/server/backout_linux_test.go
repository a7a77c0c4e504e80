package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red: nobody looks whether the new release is needed; it is told
// to leave in any case; a release is taken for ours by its name alone; HUP, or PIPE, ends the command once it has been interrupted.

var errInVain = errors.New("in vain")

func TestANewReleaseThatIsTheOnlyOneLeftStays(t *testing.T) {
	old, fresh := play(t, "crashes", goAway), play(t, "is left", goAway)
	u, told := upgrading(t, fresh)
	u.before = []control.Found{old.found(t)}
	old.endpoint.Close()
	_, err := u.old(t.Context())
	if err == nil || !strings.Contains(err.Error(), "crashes (pid ") || !strings.Contains(err.Error(), "does not serve any more") {
		t.Errorf("there is nobody to replace: %v", err)
	}
	if err = u.backOut(err); !strings.Contains(err.Error(), "nobody else serves any more: is left (pid ") || strings.Contains(err.Error(), "serves on") {
		t.Error(err)
	}
	if s := fresh.Status().State; s != "serving" || isClosed(u.sibling.ended) {
		t.Errorf("it is %s: %s", s, told)
	}
}

// One that crashes in between is no loss, either.
func TestANewReleaseThatIsNotWantedLeavesToTheOldOneOnly(t *testing.T) {
	old, fresh := play(t, "in place", goAway), play(t, "not wanted", goAway)
	u, _ := upgrading(t, fresh)
	u.before = []control.Found{old.found(t)}
	err := u.backOut(errInVain)
	if !errors.Is(err, errInVain) || !strings.Contains(err.Error(), "the old release serves on") || !isClosed(u.sibling.ended) {
		t.Error(err)
	}
	if s := fresh.Status().State; s != "drained" || !fresh.handedOver.Load() {
		t.Errorf("it is %s, and was told to leave to a successor only: %v", s, fresh.handedOver.Load())
	}
	fresh = play(t, "stays", func(a *actor) { a.is(overlap.StateServing) })
	u, _ = upgrading(t, fresh)
	u.before = []control.Found{old.found(t)}
	if err := u.backOut(errInVain); !errors.Is(err, errStays) || isClosed(u.sibling.ended) {
		t.Errorf("nobody took over: %v", err)
	}
}

// Whoever deploys two services may give both releases the same name, at the same time.
func TestAReleaseOfTheSameNameOnAnotherPortIsLeftAlone(t *testing.T) {
	old, theirs := play(t, "ours", goAway), play(t, "twice", goAway)
	theirs.status.Addr, theirs.status.Ports = "192.0.2.1:81", []control.Port{{Addr: "192.0.2.1:81"}}
	u, _ := upgrading(t, theirs)
	u.before, u.release, u.fresh = []control.Found{old.found(t)}, "twice", control.Found{}
	ready, stop := context.WithTimeout(t.Context(), 3*lookEvery)
	defer stop()
	is, err := u.sibling.awaitServing(ready, u.isNew, true)
	if err == nil || is.Instance != "" {
		t.Fatalf("%s is taken for the new release: %v", nameOf(is), err)
	}
	if err := u.backOut(u.elsewhere()); err == nil || !strings.Contains(err.Error(), "listens on 192.0.2.1:81, where nobody else does, and goes on") {
		t.Error(err)
	}
	if s := theirs.Status().State; s != "serving" {
		t.Errorf("it is %s", s)
	}
}

// A shell that gets HUP hands it on, and the kernel says it once more; and nobody may be left
// who reads what is printed.
func TestTheEndOfATerminalDoesNotEndACommandThatBacksOut(t *testing.T) {
	t.Parallel()
	v1 := foundDynasty(t, self())
	command := []string{"upgrade", "--soak", "1m", "--log", filepath.Join(t.TempDir(), "log"), "--"}
	cmd := exec.Command(os.Args[0], append(append(command, os.Args[0]), "serve", "--release", "v2")...)
	cmd.Env = v1.Env
	screen, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	for in := bufio.NewScanner(screen); in.Scan() && !strings.Contains(in.Text(), "soaks"); {
	}
	must(t, screen.Close())
	must(t, cmd.Process.Signal(syscall.SIGHUP))
	for range 5 { // while it backs out
		<-time.After(20 * time.Millisecond)
		if cmd.Process.Signal(syscall.SIGHUP) != nil {
			break
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended by %v", err)
	}
	all, err := control.Find(t.Context(), askTimeout)
	must(t, err)
	for _, is := range all {
		if is.Addr == v1.addr && is.PID != v1.Process.Pid {
			t.Errorf("%s is %s, and should have left", nameOf(is), is.State)
		}
	}
	v1.answers(t, "v1")
}
