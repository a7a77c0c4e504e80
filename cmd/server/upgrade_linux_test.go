package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
)

// An upgrade that is interrupted. What it does otherwise is in testdata/script/upgrade*.
//
// Broken on purpose, and seen red: nothing is taken back; the new release is stopped though
// one of the old has left; the new one is killed with requests to answer; the old ones are
// told to retire, and not to hand over, or are told though nobody wants it any more; ports
// that the new one has not, another upgrade's instance, another user's are not looked for;
// the new one is not watched; one that could not be told is taken for one that has left; an instance that does nothing is followed for ever; the last
// lines are not shown, or are of an earlier run.

// actor is an instance that does as the test says.
type actor struct {
	endpoint *control.Endpoint
	leave    func(*actor) // what it does when it is told to retire; nil: nothing

	handedOver atomic.Bool // it was told to leave to a successor only

	mu     sync.Mutex
	status control.Status
}

// play opens the endpoint of an actor.
func play(t *testing.T, release string, leave func(*actor)) *actor {
	t.Helper()
	a := &actor{leave: leave, status: control.Status{
		Release: release, PID: os.Getpid(), State: "serving", Tier: "lossless", Ports: []control.Port{{Addr: "192.0.2.1:80", Accepted: 1}},
	}}
	var err error
	a.endpoint, err = control.Open(a, nil)
	must(t, err)
	t.Cleanup(func() { a.endpoint.Close() })
	return a
}

func (a *actor) Status() control.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

func (a *actor) is(state overlap.State) {
	a.mu.Lock()
	a.status.State = state.String()
	a.mu.Unlock()
	a.endpoint.Tell(control.Event{State: state.String()})
}

func (a *actor) Retire() {
	if a.leave == nil {
		return
	}
	a.is(overlap.StateRetiring)
	a.leave(a)
}

func (a *actor) HandOver()    { a.handedOver.Store(true); a.Retire() }
func (a *actor) TakeBack()    { a.is(overlap.StateServing) }
func (a *actor) Pin() error   { return nil }
func (a *actor) Unpin() error { return nil }
func (a *actor) Knock() error { return nil }

// stay waits for a successor, for ever.
func stay(*actor) {}

// goAway leaves at once.
func goAway(a *actor) {
	text, _ := json.Marshal(overlap.Verdict{Lossless: true, Requests: 7})
	a.endpoint.Tell(control.Event{Verdict: text})
	a.is(overlap.StateDrained)
	go a.endpoint.Close()
}

// found is how it is found.
func (a *actor) found(t *testing.T) control.Found {
	t.Helper()
	f, err := findOne(t.Context(), func(f control.Found) bool { return f.Release == a.Status().Release })
	must(t, err)
	return f
}

// upgrading is an upgrade that has come to the retirement of the old ones.
func upgrading(t *testing.T, fresh *actor) (*upgrade, *bytes.Buffer) {
	t.Helper()
	var told bytes.Buffer
	u := &upgrade{out: &told, progress: newProgress(&told), began: time.Now(), fresh: fresh.found(t), sibling: sib(t, "exec sleep 60")}
	var err error
	u.output, err = openOutput(filepath.Join(t.TempDir(), "log"), "", time.Now())
	must(t, err)
	t.Cleanup(func() { u.output.Close() })
	return u, &told
}

// replaces says who was there before.
func (u *upgrade) replaces(t *testing.T, old *actor) {
	t.Helper()
	u.before = []control.Found{old.found(t)}
	u.targets = u.before
}

func TestAnInterruptedUpgradeTakesBackWhatItCan(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	old, fresh := play(t, "taken back", func(*actor) { interrupt() }), play(t, "in vain", goAway)
	u, told := upgrading(t, fresh)
	err := u.retire(ctx, []control.Found{old.found(t)})
	if !errors.Is(err, errInterrupted) || old.Status().State != "serving" {
		t.Errorf("%v, the old one is %s: %s", err, old.Status().State, told)
	}
	if s := fresh.Status().State; s != "drained" || !isClosed(u.sibling.ended) {
		t.Errorf("the new one is %s, its process ended %v: %s", s, isClosed(u.sibling.ended), told)
	}
	if !old.handedOver.Load() || fresh.handedOver.Load() {
		t.Error("the old one leaves to a successor only, the new one in any case")
	}
}

func TestAnUpgradeThatIsInterruptedTooLateGoesOn(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	old := play(t, "stays after all", func(*actor) { both.Done() })
	gone := play(t, "gone", func(a *actor) { goAway(a); both.Done() })
	fresh := play(t, "needed", goAway)
	u, told := upgrading(t, fresh)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() { both.Wait(); interrupt() }()
	err := u.retire(ctx, []control.Found{old.found(t), gone.found(t)})
	if !errors.Is(err, errStays) || strings.Contains(err.Error(), "serves on") {
		t.Errorf("%v: %s", err, told)
	}
	if s := fresh.Status().State; s != "serving" || isClosed(u.sibling.ended) {
		t.Errorf("the new one is %s, though one of the old has left: %s", s, told)
	}
	contains(t, told.String(), "taken back", "gone", "NOT LOSSLESS", "no verdict")
}

func TestAnUpgradeThatIsInterruptedBeforeItTellsAnybodyTellsNobody(t *testing.T) {
	old, fresh := play(t, "never told", stay), play(t, "early", goAway)
	u, told := upgrading(t, fresh)
	u.replaces(t, old)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	err := u.retire(ctx, u.targets)
	if !errors.Is(err, errInterrupted) || !strings.Contains(err.Error(), "serves on") || old.Status().State != "serving" {
		t.Errorf("%v, the old one is %s: %s", err, old.Status().State, told)
	}
}

func TestAReleaseThatListensOnLessReplacesNobody(t *testing.T) {
	one, two := control.Port{Addr: "192.0.2.1:80"}, control.Port{Addr: "192.0.2.1:443"}
	old := control.Found{Status: control.Status{Instance: "A", Release: "v1", State: "serving", Ports: []control.Port{one, two}, Requests: 9}}
	u := &upgrade{before: []control.Found{old}, targets: []control.Found{old}, fresh: control.Found{Status: control.Status{Instance: "B", Release: "v2", Ports: []control.Port{one}}}}
	if got, err := u.pick(u.before); err == nil || !strings.Contains(err.Error(), "v2 (pid 0) does not listen on 192.0.2.1:443, where v1 (pid 0) does") {
		t.Errorf("%+v, %v", got, err)
	}
	u.fresh.Ports = []control.Port{one, {Addr: two.Addr, TLS: true}}
	if got, err := u.pick(u.before); err == nil || !strings.Contains(err.Error(), "on 192.0.2.1:443 one of v2 (pid 0) and v1 (pid 0) speaks TLS") {
		t.Errorf("%+v, %v", got, err)
	}
	u.fresh.Ports = old.Ports
	now := old
	now.Requests = 20 // 11 of them since the upgrade began
	if got, err := u.pick([]control.Found{now, u.fresh}); err != nil || len(got) != 1 || got[0].Requests != 9 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOnlyOneUpgradeAtATimeGoesOn(t *testing.T) {
	port := []control.Port{{Addr: "192.0.2.1:80"}}
	is := func(instance, state string, uid int) control.Found {
		return control.Found{Status: control.Status{Instance: instance, Release: instance, State: state, UID: uid, Ports: port}}
	}
	u := &upgrade{before: []control.Found{is("A", "serving", 7)}, targets: []control.Found{is("A", "serving", 7)}, fresh: is("B", "serving", 7)}
	for state, conflict := range map[string]bool{"starting": true, "serving": true, "dark": true, "retiring": false} {
		_, err := u.pick([]control.Found{is("A", "serving", 7), is("C", state, 7), u.fresh})
		if is := err != nil && strings.Contains(err.Error(), "C (pid 0) has come meanwhile"); is != conflict {
			t.Errorf("%s: %v", state, err)
		}
	}
	if got, err := u.pick([]control.Found{is("A", "serving", 8), u.fresh}); err == nil {
		t.Errorf("another user's instance is replaced: %+v", got)
	}
}

func TestTheLastLinesAreFewAndHarmlessAndOfThisRun(t *testing.T) {
	name := write(t, "log", "an earlier run\n")
	o, err := openOutput(name, "", time.Now())
	must(t, err)
	defer o.Close()
	if got := o.lastLines(); got != "" {
		t.Errorf("%q", got)
	}
	_, err = o.WriteString("bell \x07 and \x1b[2J\nlast\n")
	must(t, err)
	if got := o.lastLines(); got != "bell \uFFFD and \uFFFD[2J\nlast" {
		t.Errorf("%q", got)
	}
	_, err = o.WriteString(strings.Repeat("x\n", 9000))
	must(t, err)
	if got := o.lastLines(); got != strings.TrimSpace(strings.Repeat("x\n", 10)) {
		t.Errorf("%q", got)
	}
	null, err := openOutput("/dev/null", "", time.Now())
	must(t, err)
	defer null.Close()
	if got := null.lastLines(); got != "" {
		t.Errorf("%q", got)
	}
}

// Some programs do not wait for RetireAsked: they are not waited for.
func TestAnInstanceThatDoesNotListenIsNotFollowedForEver(t *testing.T) {
	t.Parallel()
	old, fresh := play(t, "deaf", nil), play(t, "for nobody", goAway)
	u, told := upgrading(t, fresh)
	u.replaces(t, old)
	err := u.retire(t.Context(), u.targets)
	if !errors.Is(err, errDeaf) || !strings.Contains(err.Error(), "serves on") || fresh.Status().State != "drained" {
		t.Errorf("%v, the new one is %s: %s", err, fresh.Status().State, told)
	}
}

// While the old one waits for it.
func TestAReleaseThatDiesBeforeItHasTakenOverIsBackedOutOf(t *testing.T) {
	var dying *sibling
	old, fresh := play(t, "stays for good", func(*actor) { dying.kill() }), play(t, "dies", goAway)
	u, told := upgrading(t, fresh)
	u.replaces(t, old)
	dying = u.sibling
	err := u.retire(t.Context(), u.targets)
	if err == nil || !strings.Contains(err.Error(), "ended after it was ready: signal: killed; the old release serves on") || old.Status().State != "serving" {
		t.Errorf("%v, the old one is %s: %s", err, old.Status().State, told)
	}
}

// anotherTime is an instance of another time: it knows no word but these two.
func anotherTime(t *testing.T, release string) control.Found {
	t.Helper()
	ln, err := net.Listen("unix", "@overlap/v1/"+release)
	must(t, err)
	status := control.Status{Instance: release, Release: release, State: "serving", Ports: []control.Port{{Addr: "192.0.2.1:80"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(status) })
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(control.Event{Status: &status})
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	srv := &http.Server{Handler: mux}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return control.Found{Status: status}
}

func TestOneThatCannotBeToldIsNotTakenForOneThatHasLeft(t *testing.T) {
	fresh := play(t, "for nobody else", goAway)
	u, told := upgrading(t, fresh)
	u.targets = []control.Found{anotherTime(t, "of-another-time")}
	err := u.retire(t.Context(), u.targets)
	if !errors.Is(err, errNotTold) || !strings.Contains(err.Error(), "serves on") || fresh.Status().State != "drained" {
		t.Errorf("%v, the new one is %s: %s", err, fresh.Status().State, told)
	}
}

func TestAReleaseThatLeavesWhileItSoaksReplacesNobody(t *testing.T) {
	fresh := play(t, "unsteady", stay)
	u, _ := upgrading(t, fresh)
	u.soak = time.Minute
	fresh.is(overlap.StateRetiring)
	if err := u.soaks(t.Context()); err == nil || !strings.Contains(err.Error(), "does not serve on: it is retiring") {
		t.Error(err)
	}
}
