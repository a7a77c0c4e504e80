package overlap

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/ba995850/overlap/internal/control"
	"github.com/ba995850/overlap/internal/listen"
)

// What an instance shows at its endpoint.
//
// Broken on purpose, and seen red: the deadline is not that of the retirement; a port is
// always pinned; NoEndpoint is not looked at; nobody is told of events; Private is not handed
// on; the clock of the connections does not go; the state is asked last:
// TestWhoIsSeenToServeIsSeenToListen.

// seen returns what there is of instances for which is returns true.
func seen(t testing.TB, is func(control.Found) bool) []control.Found {
	t.Helper()
	all, err := control.Find(t.Context(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(f control.Found) bool { return !is(f) })
}

// status is what the process shows.
func (p *instance) status() control.Status {
	p.t.Helper()
	found := seen(p.t, func(f control.Found) bool { return f.PID == p.pid })
	if len(found) != 1 || found[0].Err != nil {
		p.t.Fatalf("process %d shows %+v", p.pid, found)
	}
	return found[0].Status
}

func TestAnInstanceShowsWhatItDoes(t *testing.T) {
	const drain = 20 * time.Second
	v1 := start(t, "serve", config{Release: "v1", Drain: drain, Linger: slow})
	idle := connect(t, v1.addr)
	if _, err := idle.ask("/", "x"); err != nil {
		t.Fatal(err)
	}
	s := v1.status()
	for began := time.Now(); s.Connections.Idle == 0 && time.Since(began) < slow; {
		s = v1.status() // the answer is here before net/http calls its connection idle
	}
	if s.Release != "v1" || s.State != "serving" || s.Phase != "" || s.Requests != 1 || s.Connections.Idle != 1 || s.Tier != "lossless" {
		t.Errorf("serving, it shows %+v", s)
	}
	if !s.Deadline.IsZero() || time.Since(s.Started) > time.Minute || s.Addr != v1.addr {
		t.Errorf("serving, it shows %+v", s)
	}
	if p := s.Ports[0]; p.Addr != v1.addr || !p.Pinned || p.Others != 0 || p.Accepted != 1 {
		t.Errorf("alone, its port is %+v", p)
	}
	began := time.Now()
	v2 := v1.handOver(PhaseLinger)
	s = v1.status()
	if s.State != "retiring" || s.Phase != "linger" || s.Ports[0].Pinned {
		t.Errorf("retiring, it shows %+v", s)
	}
	if left := s.Deadline.Sub(began); left < drain || left > drain+slow {
		t.Errorf("it cuts %v after it was told to leave", left)
	}
	if s := v2.status(); !s.Ports[0].Pinned || s.Started.Before(v1.status().Started) {
		t.Errorf("the successor shows %+v", s)
	}
	v1.verdict()
}

// An upgrade compares the addresses of who serves with those of who is to leave.
func TestWhoIsSeenToServeIsSeenToListen(t *testing.T) {
	l := life{opts: &Options{}}
	s := l.status(func() []*listen.Listener { // as where it begins to serve meanwhile
		if err := l.advance(StateServing); err != nil {
			t.Fatal(err)
		}
		return nil
	})
	if s.State != StateStarting.String() {
		t.Errorf("it is %s, on no port", s.State)
	}
}

func TestAnInstanceShowsItsOldestRequest(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	const old = 300 * time.Millisecond // longer than a tick of its clock
	for s := v1.status(); time.Since(s.Started) < 3*old; s = v1.status() {
		if s.Oldest != 0 {
			t.Fatalf("without a request it is %v s old", s.Oldest)
		}
	}
	began := time.Now()
	c := connect(t, v1.addr)
	if err := c.send("/hold", ""); err != nil {
		t.Fatal(err)
	}
	for oldest := 0.0; oldest < old.Seconds(); {
		oldest = v1.status().Oldest
		if took := time.Since(began) + old; oldest > took.Seconds() {
			t.Fatalf("after %v it is %v s old", took, oldest)
		}
	}
	v1.say("release")
	if _, err := c.receive(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); v1.status().Oldest > 0; {
		if time.Since(began) > slow {
			t.Fatal("it is still there")
		}
	}
}

func TestAnInstanceIsToldToRetireAndFollowed(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1"})
	start(t, "serve", config{Release: "v2", Addr: v1.addr})
	var heard []string
	err := control.Follow(t.Context(), v1.status().Instance, func(e control.Event) error {
		if e.Status != nil {
			if len(heard) == 0 {
				_, err := control.Retire(t.Context(), e.Status.Instance)
				return err
			}
			return nil
		}
		heard = append(heard, e.State+e.Phase)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	want := []string{"retiring", "steer", "settle", "close", "linger", "finish", "flush", "" /* the verdict */, "drained"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
	if v := v1.verdict(); !v.Lossless {
		t.Errorf("verdict: %+v", v)
	}
}

func TestAProgramAnswersPrivatelyAtItsEndpoint(t *testing.T) {
	const release = "an instance that answers privately"
	p := serveHere(t, Options{Release: release, Private: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "asked for "+r.URL.Path)
	})})
	found := seen(t, func(f control.Found) bool { return f.Release == release })
	if len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := control.Private(found[0].Instance, r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "asked for /metrics" {
		t.Errorf("it answered %q, %v", text, err)
	}
	p.Retire()
	if err := <-p.done; err != nil {
		t.Error(err)
	}
}

func TestAnInstanceMayHaveNoEndpoint(t *testing.T) {
	for _, none := range []bool{false, true} {
		const release = "an instance that may have no endpoint"
		p := serveHere(t, Options{Release: release, NoEndpoint: none})
		found := seen(t, func(f control.Found) bool { return f.Release == release })
		if shown := len(found) == 1; shown == none {
			t.Errorf("NoEndpoint %v, and found %+v", none, found)
		}
		p.Retire()
		if err := <-p.done; err != nil {
			t.Error(err)
		}
	}
}
