package cost

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/internal/group"
)

// Each round has its own machine, so to speak: the medians alone would compare rounds.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	slowsDown := []float64{100, 50, 25, 12, 6}
	half := make([]float64, len(slowsDown))
	for i := range half {
		half[i] = slowsDown[i] / 2
	}
	if got := ratio(half, slowsDown); got != "0.50 (0.50 to 0.50)" {
		t.Error(got)
	}
	if got := quartiles([]float64{5, 1, 4, 2, 3}); got != [3]float64{2, 3, 4} {
		t.Error(got)
	}
}

// answering serves, and is a contender that is this process.
func answering(t *testing.T, h http.HandlerFunc) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return &server{contender: &contender{name: "ours"}, addr: ln.Addr().String(), Program: &group.Program{Cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}}
}

func TestWhoAnswersOtherwiseIsNotMeasured(t *testing.T) {
	for what, h := range map[string]http.HandlerFunc{
		"other bytes": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello from v2\n") },
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, greeting, "v1")
		},
		"a close": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			fmt.Fprintf(w, greeting, "v1")
		},
		"a release that was not started": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Release", "v3")
			io.WriteString(w, "hello from v3\n")
		},
		"no release": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Del("Release")
			fmt.Fprintf(w, greeting, "v1")
		},
	} {
		named := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Release", "v1")
			h(w, r)
		}
		if n, err := drive(t.Context(), answering(t, named).addr, 2, 50*time.Millisecond, true); err == nil || n > 0 {
			t.Errorf("%s: %d answers, %v", what, n, err)
		}
	}
}

func TestAContenderThatEndsIsSaidSo(t *testing.T) {
	c := contender{name: "false", command: func(Built, string, string) (*exec.Cmd, error) {
		return exec.Command("sh", "-c", "echo it is Friday; exit 7"), nil
	}}
	began := time.Now()
	_, err := c.start(t.Context(), Built{})
	if err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "it is Friday") {
		t.Error(err)
	}
	if time.Since(began) > startBound {
		t.Error("it was waited for")
	}
}

func TestAnInterruptionEndsIt(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	s := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Release", "v1")
		fmt.Fprintf(w, greeting, "v1")
	})
	if _, err := (Plan{Rounds: 9, Span: time.Hour, Clients: 1}).load(ctx, []*server{s}, "", true, io.Discard); err == nil {
		t.Error("it goes on")
	}
}

// takingTurns answers by one release after the other.
func takingTurns(t *testing.T, names ...string) *server {
	var n atomic.Int64
	return answering(t, func(w http.ResponseWriter, _ *http.Request) {
		name := names[int(n.Add(1)-1)%len(names)]
		w.Header().Set("Release", name)
		fmt.Fprintf(w, greeting, name)
	})
}

// The one before answers on the same port. Broken on purpose, and seen red: any answer will do.
func TestTheNextReleaseIsThereWhenItAnswersItself(t *testing.T) {
	s := takingTurns(t, "v1", "v1", "v2", "v2")
	s.contender = &contender{name: "ours", release: "v2"}
	if err := s.await(t.Context()); err != nil {
		t.Fatal(err)
	}
	var c caller
	c.addr = s.addr
	if err := c.ask(); err != nil || c.release != "v2" {
		t.Errorf("%q answers the fourth request, %v", c.release, err)
	}
}

// Broken on purpose, and seen red: all are counted for the first.
func TestIdleConnectionsAreCountedByTheirRelease(t *testing.T) {
	held, closeAll, err := idle(t.Context(), takingTurns(t, "v1", "v1", "v2").addr, 9)
	if err != nil {
		t.Fatal(err)
	}
	closeAll()
	if held["v1"] != 6 || held["v2"] != 3 {
		t.Errorf("%v", held)
	}
}

// Broken on purpose, and seen red: it is no matter.
func TestAReleaseWithoutConnectionsIsNotMeasured(t *testing.T) {
	s := takingTurns(t, "v1")
	s.contender = &contender{name: "ours", release: "v2"}
	if h, err := s.holder("next", map[string]int{"v1": 9}); err == nil {
		t.Errorf("%+v", h)
	}
	if h, err := s.holder("next", map[string]int{"v1": 2, "v2": 7}); err != nil || h.Conns != 7 {
		t.Errorf("%+v, %v", h, err)
	}
}

// Broken on purpose, and seen red: one that was not lossless is measured; the seconds are taken
// for milliseconds.
func TestSteeredIsWhatTheVerdictSays(t *testing.T) {
	const verdict = `{"msg":"verdict","lossless":%v,"phases":{"steer":0.0184,"settle":0.5}}`
	state := `{"msg":"state","to":"serving"}` + "\nnot JSON\n"
	if got, err := steeredIn(fmt.Appendf([]byte(state), verdict, true)); err != nil || got < 18.3 || got > 18.5 {
		t.Errorf("%v ms, %v", got, err)
	}
	for _, log := range []string{state, fmt.Sprintf(verdict, false)} {
		if got, err := steeredIn([]byte(log)); err == nil || !strings.Contains(err.Error(), log) {
			t.Errorf("%v ms, %v", got, err)
		}
	}
}

// Broken on purpose, and seen red: all are compared with the first; those without overlap, too.
func TestOverlapIsComparedWithTheBareKernel(t *testing.T) {
	l := Load{Name: "some load", Shares: []Share{
		{Name: "base", Base: true, Speeds: []float64{1, 1, 1}},
		{Name: "ours", Overlap: true, Speeds: []float64{10, 20, 40}},
		{Name: bare, Speeds: []float64{20, 40, 80}},
	}}
	limits := l.limits()
	if len(limits) != 1 || limits[0].Name != "ours, some load" || limits[0].Of != bare {
		t.Fatalf("%+v", limits)
	}
	if got := ratio(limits[0].Figures, limits[0].Limits); got != "0.50 (0.50 to 0.50)" {
		t.Error(got)
	}
}
