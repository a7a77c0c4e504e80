package overlap

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/ba995850/overlap/internal/control"
)

// In and out of the rotation.
//
// Broken on purpose, and seen red: a dark instance joins; Unpin does not look who is left;
// Unpin changes no state; a dark one whose retirement is taken back is in the rotation;
// nobody says that a dark one is alone; where nothing can be steered a dark one starts.

// told has the instance do something by its endpoint.
func (p *instance) told(do func(context.Context, string) (control.Status, error)) error {
	p.t.Helper()
	_, err := do(p.t.Context(), p.status().Instance)
	return err
}

func TestADarkInstanceGetsNothingUntilItIsPinnedAndGoesBackAtOnce(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	v2 := start(t, "serve", config{Release: "v2", Addr: v1.addr, Dark: true})
	load := send(t, v1.addr)
	defer load.lostNothing(t)
	for range 3 {
		if got := releases(t, v1.addr, 200); got["v1"] != 200 {
			t.Errorf("of 200 requests while v2 is dark %v were answered", got)
		}
		if s := v2.status(); s.State != "dark" || s.Ports[0].Pinned {
			t.Errorf("dark, it shows %+v", s)
		}
		if err := v2.told(control.Knock); err == nil {
			t.Error("a connection came to a dark instance")
		}
		if err := v2.told(control.Pin); err != nil {
			t.Fatal(err)
		}
		if got := releases(t, v1.addr, 200); got["v1"] == 0 || got["v2"] == 0 {
			t.Errorf("of 200 requests while both are pinned %v were answered", got)
		}
		if s := v2.status(); s.State != "serving" || !s.Ports[0].Pinned {
			t.Errorf("pinned, it shows %+v", s)
		}
		if err := v2.told(control.Knock); err != nil {
			t.Error(err)
		}
		if err := v2.told(control.Unpin); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyOneThatSomebodyReplacesIsUnpinned(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	if err := v1.told(control.Unpin); err == nil || !strings.Contains(err.Error(), "nobody else listens") {
		t.Error(err)
	}
	start(t, "serve", config{Release: "v2", Addr: v1.addr, Dark: true})
	if err := v1.told(control.Unpin); err == nil || !strings.Contains(err.Error(), "nobody else is in rotation") {
		t.Error(err)
	}
	if s := v1.status(); s.State != "serving" || !s.Ports[0].Pinned {
		t.Errorf("it shows %+v", s)
	}
	if got := releases(t, v1.addr, 200); got["v1"] != 200 {
		t.Errorf("of 200 requests %v were answered", got)
	}
}

func TestADarkInstanceTakesOverWhereTheOthersDie(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	v2 := start(t, "serve", config{Release: "v2", Addr: v1.addr, Dark: true})
	v1.kill()
	v1.awaitExit()
	if got := releases(t, v2.addr, 50); got["v2"] != 50 {
		t.Errorf("of 50 requests %v were answered", got)
	}
}

func TestADarkInstanceThatIsAloneSaysSo(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1", Dark: true})
	v1.awaitNotice("dark, and alone on " + v1.addr)
	if v := v1.leaves(); v.Successor {
		t.Errorf("verdict: %+v", v)
	}
}

func TestADarkInstanceLeavesWithoutALossAndDarkIsWhatItIsTakenBackTo(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	load := send(t, v1.addr)
	v2 := start(t, "serve", config{Release: "v2", Addr: v1.addr, Dark: true})
	v1.retire()
	v1.awaitNotice("waiting for a successor")
	if s := v1.status(); s.State != "retiring" {
		t.Errorf("v1 is %s", s.State)
	}
	if err := v1.told(control.TakeBack); err != nil {
		t.Fatal(err)
	}
	v1.awaitStates("serving", "retiring", "serving")
	v1.signal(syscall.SIGSTOP)
	v2.retire() // whose successor is stopped
	v2.awaitNotice("waiting for a successor")
	if err := v2.told(control.TakeBack); err != nil {
		t.Fatal(err)
	}
	v2.awaitStates("dark", "retiring", "dark")
	v1.signal(syscall.SIGCONT)
	if got := releases(t, v1.addr, 200); got["v1"] != 200 {
		t.Errorf("of 200 requests while v2 is dark %v were answered", got)
	}
	v2.leaves()
	load.lostNothing(t)
}

func TestWhereNothingCanBeSteeredNoInstanceIsDark(t *testing.T) {
	p := launch(t, "serve", config{Release: "v1", Dark: true, HideProc: true}, ownMounts)
	if _, ok := p.awaitOrExit(func(e event) bool { return e.State == "dark" }); ok {
		t.Error("it says that it is dark")
	}
	if !strings.Contains(p.stderr.String(), "it would get connections all the same") {
		t.Errorf("it says %s", p.stderr)
	}
}

func TestAnInstanceThatHasEndedIsNotPinned(t *testing.T) {
	inst := New(Options{})
	if err := inst.Pin(); err == nil || !strings.Contains(err.Error(), "starting cannot become serving") {
		t.Error(err)
	}
	inst.life.state = StateServing
	inst.Retire()
	if err := inst.Unpin(); err == nil || !strings.Contains(err.Error(), "told to retire") {
		t.Error(err)
	}
}
