package overlap

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// squatRole listens without SO_REUSEPORT.
func squatRole(c config) error {
	ln, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	tell(event{PID: os.Getpid(), State: "listening", Addr: "[" + ln.Addr().String() + "]"})
	return http.Serve(ln, service(c.Release, listenToTest()))
}

func TestAPortThatSomebodyKeepsToHimselfIsExplained(t *testing.T) {
	holder := start(t, "squat", config{Release: "squatter"})
	v1 := launch(t, "serve", config{Release: "v1", Addr: holder.addr})
	if code := v1.awaitExit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"without SO_REUSEPORT", strconv.Itoa(holder.pid)} {
		if !strings.Contains(v1.stderr.String(), want) {
			t.Errorf("the error does not name %q: %s", want, v1.stderr)
		}
	}
}

func TestTheLastOneStopsInOrder(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1", Linger: time.Minute})
	idle := connect(t, v1.addr)
	if _, err := idle.ask("/", "x"); err != nil {
		t.Fatal(err)
	}
	held := connect(t, v1.addr)
	if err := held.send("/hold", ""); err != nil {
		t.Fatal(err)
	}
	awaitActive(t, v1)
	v1.retire()
	v1.awaitPhase(PhaseLinger)
	v1.say("release")
	if a, err := held.receive(); err != nil || a.body != "held" {
		t.Errorf("the request in flight got %+v, %v", a, err)
	}
	v := v1.verdict()
	if v.Successor || v.Cut+v.Late+v.Abandoned > 0 {
		t.Errorf("verdict: %+v", v)
	}
	if linger := v.Phases[PhaseLinger]; linger > 5*time.Second {
		t.Errorf("without a successor there is nobody to linger for, but it took %v", linger)
	}
	if _, err := ask(v1.addr, "/", "x"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the stop: %v", err)
	}
}

func TestASuccessorThatIsStoppedIsNotLeftTo(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	v2 := start(t, "serve", config{Release: "v2", Addr: v1.addr})
	v2.signal(syscall.SIGSTOP)
	v1.retire()
	v1.awaitNotice("does not accept")
	v2.signal(syscall.SIGCONT)
	if v := v1.verdict(); !v.Lossless || !v.Successor {
		t.Errorf("verdict once the successor goes on: %+v", v)
	}
}

// Nobody takes over before the deadline: clients and handlers are told all the same.
func TestWhoLeavesWithoutASuccessorTellsHisClients(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1", Drain: 3 * slow, Finish: slow})
	start(t, "listen", config{Release: "v2", Addr: v1.addr}) // never ready
	long := connect(t, v1.addr)
	if err := long.send("/retiring", ""); err != nil {
		t.Fatal(err)
	}
	awaitActive(t, v1)
	v1.retire()
	if a, err := long.receive(); err != nil || a.body != "told" {
		t.Errorf("the handler that waits to be told answered %+v, %v", a, err)
	}
	if v := v1.verdict(); v.Cut != 0 || v.Lossless || v.Successor {
		t.Errorf("verdict: %+v", v)
	}
}

func TestASuccessorThatDiesBeforeItIsLeftToChangesNothing(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	v2 := start(t, "serve", config{Release: "v2", Addr: v1.addr})
	v2.signal(syscall.SIGSTOP)
	v1.retire()
	v1.awaitNotice("does not accept")
	v2.signal(syscall.SIGKILL)
	v2.awaitExit()
	// Alone now, v1 stops, for it was told to; what comes in time is answered.
	if v := v1.verdict(); v.Successor || v.Cut+v.Late > 0 {
		t.Errorf("verdict: %+v", v)
	}
}

func TestARetirementWaitsForASuccessorThatIsNotReady(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	v2 := start(t, "listen", config{Release: "v2", Addr: v1.addr})
	load := send(t, v1.addr)
	v1.retire()
	v1.awaitNotice("rotation")
	load.awaitAnswer(t, "v1")
	v2.say("accept")
	if v := v1.verdict(); !v.Lossless || !v.Successor {
		t.Errorf("verdict: %+v", v)
	}
	load.awaitAnswer(t, "v2")
	load.lostNothing(t)
}

func TestARetirementCanBeTakenBack(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	start(t, "listen", config{Release: "v2", Addr: v1.addr}) // never ready
	load := send(t, v1.addr)
	v1.retire()
	v1.awaitNotice("rotation")
	v1.say("take back")
	v1.awaitStates("serving", "retiring", "serving")
	if got := releases(t, v1.addr, 100); got["v1"] != 100 {
		t.Errorf("answers after the retirement was taken back: %v", got)
	}
	start(t, "serve", config{Release: "v3", Addr: v1.addr})
	load.awaitAnswer(t, "v3")
	v1.leaves()
	load.lostNothing(t)
}

func TestOfTwoThatRetireAtOnceTheThirdGetsEverything(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	v2 := start(t, "serve", config{Release: "v2", Addr: v1.addr})
	start(t, "serve", config{Release: "v3", Addr: v1.addr})
	load := send(t, v1.addr)
	load.awaitAnswer(t, "v3")
	v1.retire()
	v2.retire()
	for _, p := range []*instance{v1, v2} {
		if v := p.verdict(); !v.Lossless || !v.Successor {
			t.Errorf("verdict: %+v", v)
		}
	}
	load.lostNothing(t)
	if got := releases(t, v1.addr, 100); got["v3"] != 100 {
		t.Errorf("answers: %v", got)
	}
}

func TestOfTwoThatRetireAtOnceOneStaysUntilTheOtherHasLeft(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	v2 := start(t, "serve", config{Release: "v2", Addr: v1.addr})
	v1.retire()
	v2.retire()
	successors := 0
	for _, p := range []*instance{v1, v2} {
		if v := p.verdict(); v.Successor {
			successors++
		}
	}
	if successors != 1 {
		t.Errorf("%d of the two had a successor", successors)
	}
}

func TestAKillInAnyPhaseHarmsNoLaterUpgrade(t *testing.T) {
	holds := []struct {
		phase Phase
		hold  func(t *testing.T, v1 *instance) (v2 *instance)
	}{
		{PhaseSteer, withStoppedSuccessor},
		{PhaseLinger, withIdleClient},
		{PhaseFlush, withSlowReader},
	}
	for _, h := range holds {
		t.Run(string(h.phase), func(t *testing.T) {
			v1 := start(t, "serve", config{Release: "v1", Linger: time.Second})
			v2 := h.hold(t, v1)
			v1.retire()
			v1.awaitPhase(h.phase)
			v1.signal(syscall.SIGKILL)
			v1.awaitExit()
			v2.signal(syscall.SIGCONT)
			load := send(t, v1.addr)
			start(t, "serve", config{Release: "v3", Addr: v1.addr})
			load.awaitAnswer(t, "v3")
			v2.leaves()
			load.lostNothing(t)
		})
	}
}

func withStoppedSuccessor(t *testing.T, v1 *instance) *instance {
	v2 := start(t, "serve", config{Release: "v2", Addr: v1.addr})
	v2.signal(syscall.SIGSTOP)
	return v2
}

func withIdleClient(t *testing.T, v1 *instance) *instance {
	if _, err := connect(t, v1.addr).ask("/", "x"); err != nil {
		t.Fatal(err)
	}
	return start(t, "serve", config{Release: "v2", Addr: v1.addr})
}

// withSlowReader leaves a client that has read no more than the header of a
// response whose handler has ended: all of the rest is in the send buffer.
func withSlowReader(t *testing.T, v1 *instance) *instance {
	c := connect(t, v1.addr)
	c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	if err := c.send("/medium", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(c.in, nil); err != nil {
		t.Fatal(err)
	}
	return start(t, "serve", config{Release: "v2", Addr: v1.addr})
}
