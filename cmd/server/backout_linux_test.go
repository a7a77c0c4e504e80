package main

import (
	"bufio"
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
// to leave in any case; a release is taken for ours by its name alone, or beside
// any service; one that only starts is told to leave; the new release is to hand over ports that
// nobody else has; nobody looks whether the old one serves; HUP, or PIPE, ends the command once it has been interrupted.

var errInVain = errors.New("in vain")

func TestANewReleaseThatIsTheOnlyOneLeftStays(t *testing.T) {
	old, fresh := play(t, "crashes", goAway), play(t, "is left", goAway)
	u, told := upgrading(t, fresh)
	u.replaces(t, old)
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
	u.replaces(t, old)
	err := u.backOut(errInVain)
	if !errors.Is(err, errInVain) || !strings.Contains(err.Error(), "the old release serves on") || !isClosed(u.sibling.ended) {
		t.Error(err)
	}
	if s := fresh.Status().State; s != "drained" || !fresh.handedOver.Load() {
		t.Errorf("it is %s, and was told to leave to a successor only: %v", s, fresh.handedOver.Load())
	}
	fresh = play(t, "stays", func(a *actor) { a.is(overlap.StateServing) })
	u, _ = upgrading(t, fresh)
	u.replaces(t, old)
	if err := u.backOut(errInVain); !errors.Is(err, errStays) || isClosed(u.sibling.ended) {
		t.Errorf("nobody took over: %v", err)
	}
}

// On a port that it has for itself it would wait for somebody to take over, and stay.
func TestANewReleaseThatListensOnMoreIsBackedOutOf(t *testing.T) {
	old, fresh := play(t, "has one port", goAway), play(t, "has two", goAway)
	fresh.status.Ports = append(fresh.status.Ports, control.Port{Addr: "192.0.2.1:82", Accepted: 1})
	u, _ := upgrading(t, fresh)
	u.replaces(t, old)
	if err := u.backOut(errInVain); !errors.Is(err, errInVain) || errors.Is(err, errStays) {
		t.Error(err)
	}
	if s := fresh.Status().State; s != "drained" || fresh.handedOver.Load() {
		t.Errorf("it is %s, and was told to leave to a successor only: %v", s, fresh.handedOver.Load())
	}
}

func TestItIsNotSaidThatTheOldReleaseServesOnWhenItDoesNot(t *testing.T) {
	old := play(t, "has crashed", goAway)
	u, _ := upgrading(t, play(t, "is not ready", goAway))
	u.replaces(t, old)
	u.fresh = control.Found{}
	old.endpoint.Close()
	if err := u.backOut(errInVain); !strings.Contains(err.Error(), "the old release does not serve any more") {
		t.Error(err)
	}
}

// Whoever deploys two services may give both releases the same name, at the same time.
func TestAReleaseOfTheSameNameOfAnotherServiceIsLeftAlone(t *testing.T) {
	ours, theirs, theirOld := play(t, "ours", goAway), play(t, "twice", goAway), play(t, "theirs", goAway)
	theirOld.status.Addr, theirOld.status.Ports = "192.0.2.1:81", []control.Port{{Addr: "192.0.2.1:81"}}
	theirs.status.Addr, theirs.status.Ports = theirOld.status.Addr, theirOld.status.Ports
	u, _ := upgrading(t, theirs)
	u.release, u.fresh, u.before = "twice", control.Found{}, []control.Found{ours.found(t), theirOld.found(t)}
	if _, err := u.choose(); err == nil || !strings.Contains(err.Error(), "say by --from-pid whom twice replaces") {
		t.Errorf("it is not said which service is meant: %v", err)
	}
	u.from.releases = []string{"ours"}
	var err error
	u.targets, err = u.choose()
	must(t, err)
	u.ready = 3 * lookEvery
	for state, says := range map[overlap.State]string{
		overlap.StateStarting: "it is left to what has started it",
		overlap.StateServing:  "serves on 192.0.2.1:81, where none of these does",
	} {
		theirs.is(state)
		_, err := u.replace(t.Context())
		if err = u.backOut(err); !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "the old release serves on") {
			t.Errorf("%s: %v", state, err)
		}
		if s := theirs.Status().State; s != state.String() {
			t.Errorf("it was %s, and is %s", state, s)
		}
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
