package overlap

import (
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// What a Listener shows at its endpoint, and what it can be told there.
//
// Broken on purpose, and seen red:
//   - Accept does not make it serve; NoEndpoint is not looked at: TestAListenerShowsWhatItDoes
//   - the endpoint's Retire tells nobody: both
//   - Retire does not deliver: TestAListenerIsAskedToRetireAndFollowed
//   - resume keeps the old orders: TestTheRetirementOfAListenerIsTakenBack
//   - an order that nobody has begun is kept: ForgetsIt

// listenHere opens a Listener whose connections are accepted and dropped.
func listenHere(t *testing.T, opts Options, addr string) *Listener {
	t.Helper()
	ln, err := opts.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			c.Close()
		}
	}()
	return ln
}

// shown is what the release shows, once it is in this state.
func shown(t *testing.T, release, state string) control.Status {
	t.Helper()
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		found := seen(t, func(f control.Found) bool { return f.Release == release && f.State == state })
		if len(found) == 1 {
			return found[0].Status
		}
	}
	t.Fatalf("%s is not %s", release, state)
	return control.Status{}
}

func TestAListenerShowsWhatItDoes(t *testing.T) {
	opts := Options{Release: "a listener that shows"}
	ln, err := opts.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s := shown(t, opts.Release, "starting"); s.Addr != ln.Addr().String() || s.Tier != "lossless" || len(s.Sockets) == 0 {
		t.Errorf("it shows %+v", s)
	}
	go ln.Accept()
	if s := shown(t, opts.Release, "serving"); !s.Ports[0].Pinned || !s.Deadline.IsZero() || time.Since(s.Started) > time.Minute {
		t.Errorf("it shows %+v", s)
	}
	ln.Close()
	if found := seen(t, func(f control.Found) bool { return f.Release == opts.Release }); len(found) > 0 {
		t.Errorf("after its end it shows %+v", found)
	}
	opts.NoEndpoint = true
	listenHere(t, opts, "127.0.0.1:0")
	if found := seen(t, func(f control.Found) bool { return f.Release == opts.Release }); len(found) > 0 {
		t.Errorf("without an endpoint it shows %+v", found)
	}
}

func TestAListenerIsAskedToRetireAndFollowed(t *testing.T) {
	v1 := listenHere(t, Options{Release: "a listener that retires"}, "127.0.0.1:0")
	s := shown(t, v1.opts.Release, "serving")
	listenHere(t, Options{Release: "its successor"}, v1.Addr().String())
	shown(t, "its successor", "serving")
	go func() {
		<-v1.RetireAsked()
		v1.Retire(t.Context())
		v1.Close()
	}()
	var heard []string
	err := control.Follow(t.Context(), s.Instance, func(e control.Event) error {
		switch {
		case e.Status != nil && len(heard) == 0:
			_, err := control.Retire(t.Context(), s.Instance)
			return err
		case e.Verdict != nil:
			heard = append(heard, "verdict")
		case e.Status == nil:
			heard = append(heard, e.State+e.Phase)
		}
		return nil
	})
	want := []string{"retiring", "steer", "settle", "close", "verdict", "drained"}
	if err != nil || !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q; %v", heard, want, err)
	}
}

func TestTheRetirementOfAListenerIsTakenBack(t *testing.T) {
	opts := Options{Release: "a listener that stays"}
	ln := listenHere(t, opts, "127.0.0.1:0")
	dark, err := Listen(t.Context(), "tcp", ln.Addr().String()) // a successor that is never ready
	if err != nil {
		t.Fatal(err)
	}
	defer dark.Close()
	s := shown(t, opts.Release, "serving")
	retired := make(chan error, 1)
	go func() {
		_, err := ln.Retire(t.Context())
		retired <- err
	}()
	if s := shown(t, opts.Release, "retiring"); s.Deadline.IsZero() {
		t.Errorf("it shows %+v", s)
	}
	if _, err := control.TakeBack(t.Context(), s.Instance); err != nil {
		t.Fatal(err)
	}
	if err := <-retired; !errors.Is(err, ErrTakenBack) {
		t.Errorf("it left with %v", err)
	}
	if s := shown(t, opts.Release, "serving"); !s.Ports[0].Pinned || !s.Deadline.IsZero() {
		t.Errorf("it shows %+v", s)
	}
	if isClosed(ln.orders.asked) {
		t.Error("it is still asked to retire")
	}
	ln.Close()
	if _, err := ln.Retire(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed, it left with %v", err)
	}
}

// Whoever does not wait for RetireAsked is told to stay after all, and retires later, when he
// means it.
func TestAListenerThatStaysBeforeItHasBegunToLeaveForgetsIt(t *testing.T) {
	ln, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	operator := listenerEndpoint{ln}
	operator.HandOver()
	operator.TakeBack()
	if isClosed(ln.orders.asked) || isClosed(ln.orders.undo) || ln.orders.toSuccessor() {
		t.Error("it has not forgotten what was taken back")
	}
	go ln.Accept()
	if v, err := ln.Retire(t.Context()); err != nil || !v.Retired {
		t.Errorf("%+v, %v", v, err)
	}
}
