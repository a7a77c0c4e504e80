package cost

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
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
	return &server{contender: &contender{name: "ours"}, addr: ln.Addr().String(), cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
}

func TestWhoAnswersOtherwiseIsNotMeasured(t *testing.T) {
	for what, h := range map[string]http.HandlerFunc{
		"other bytes": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello from v2\n") },
		"an error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, greeting)
		},
		"a close": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			io.WriteString(w, greeting)
		},
		"no release": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Del("Release")
			io.WriteString(w, greeting)
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
		io.WriteString(w, greeting)
	})
	if _, err := (Plan{Rounds: 9, Span: time.Hour, Clients: 1}).load(ctx, []*server{s}, "", true, io.Discard); err == nil {
		t.Error("it goes on")
	}
}
