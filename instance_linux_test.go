package overlap

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// inProcess is an instance in the process of the test.
type inProcess struct {
	*Instance
	srv      *http.Server
	addr     string
	verdicts chan Verdict
	notices  chan string
	done     chan error
	busy     chan struct{} // closed when /busy is being handled
}

func serveHere(t *testing.T, opts Options, prepare ...func(*http.Server)) *inProcess {
	t.Helper()
	p := &inProcess{
		verdicts: make(chan Verdict, 1), notices: make(chan string, 100), done: make(chan error, 1), busy: make(chan struct{}),
	}
	serving := make(chan struct{}, 10)
	opts.OnVerdict = func(v Verdict) { p.verdicts <- v }
	opts.OnNotice = func(n string) { p.notices <- n }
	opts.OnState = func(_, to State) {
		if to == StateServing {
			serving <- struct{}{}
		}
	}
	p.srv = &http.Server{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(p.answer)}
	for _, f := range prepare {
		f(p.srv)
	}
	p.Instance = New(opts)
	go func() { p.done <- p.Serve(p.srv) }()
	<-serving
	p.addr = p.Addrs()[0].String()
	t.Cleanup(p.Cut)
	return p
}

func (p *inProcess) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/busy" {
		close(p.busy)
		<-r.Context().Done()
	}
	io.Copy(w, r.Body)
}

// returned waits for Serve, for no longer than it may take.
func (p *inProcess) returned(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("Serve has not returned")
		return nil
	}
}

// The kernel would share out what comes among the two of them.
func TestTwoServersOnOneAddressAreRefused(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	err = New(Options{}).Serve(&http.Server{Addr: "localhost:" + port}, &http.Server{Addr: "127.0.0.1:" + port})
	if err == nil || !strings.Contains(err.Error(), "two servers on one address, 127.0.0.1:"+port) {
		t.Errorf("Serve returned %v", err)
	}
}

func TestAShutdownOfTheUsersOwnIsNoRetirement(t *testing.T) {
	p := serveHere(t, Options{})
	if err := p.srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.returned(t); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if v := <-p.verdicts; v.Retired || v.Lossless {
		t.Errorf("verdict: %+v", v)
	}
}

func TestAShutdownOfTheUsersOwnEndsTheWaitForASuccessor(t *testing.T) {
	p := serveHere(t, Options{})
	dark, err := Listen(t.Context(), "tcp", p.addr) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer dark.Close()
	p.Retire()
	<-p.notices // that it waits
	if err := p.srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	p.returned(t)
	if v := <-p.verdicts; v.Retired || v.Lossless {
		t.Errorf("verdict: %+v", v)
	}
}

func TestCutAlsoEndsAnInstanceThatTheUserShutsDown(t *testing.T) {
	p := serveHere(t, Options{})
	c := connect(t, p.addr)
	if err := c.send("/busy", ""); err != nil {
		t.Fatal(err)
	}
	<-p.busy
	past, stop := context.WithCancel(t.Context())
	stop()
	p.srv.Shutdown(past)
	p.Cut()
	if err := p.returned(t); !errors.Is(err, ErrCut) || !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if v := <-p.verdicts; v.Cut != 1 {
		t.Errorf("verdict: %+v", v)
	}
	if a, err := c.receive(); err == nil {
		t.Errorf("the connection that was cut got %+v", a)
	}
}

func TestAResponseThatItsClientHasNotGotWholeIsCut(t *testing.T) {
	v1 := start(t, "serve", config{Release: "v1", Drain: 2 * time.Second})
	withSlowReader(t, v1)
	v1.retire()
	if v := v1.verdict(); v.Unacknowledged == 0 || v.Lossless {
		t.Errorf("verdict: %+v", v)
	}
	if code := v1.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("Serve returned no error: exit code %d", code)
	}
}

func TestARetirementAfterOneThatIsTakenBackCounts(t *testing.T) {
	inst := New(Options{})
	inst.life.state = StateRetiring
	inst.Retire()
	inst.TakeBack()
	inst.Retire() // before the first one has been undone
	if err := inst.resume(StateServing); !errors.Is(err, errTakenBack) {
		t.Error(err)
	}
	if !isClosed(inst.orders.asked) || isClosed(inst.orders.undo) {
		t.Error("the second Retire was lost")
	}
}

func TestAListenerThatHasLeftIsNotLeftTwice(t *testing.T) {
	ln, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go ln.Accept() // before, while or after it leaves
	if _, err := ln.Retire(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := ln.Retire(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the second time it left with %v", err)
	}
}

func TestAListenerThatNobodyAcceptsFromLeavesInTime(t *testing.T) {
	ln, err := Options{DrainTimeout: 100 * time.Millisecond}.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := ln.Retire(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("left with %v", err)
	}
}

// A first call of Accept that comes when the listener has left gets what is queued.
func TestAcceptHandsOutWhatIsQueuedAlsoAfterTheListenerHasLeft(t *testing.T) {
	ln, err := Options{DrainTimeout: 100 * time.Millisecond}.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	connect(t, ln.Addr().String())
	ln.Retire(t.Context())
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestARetirementLeavesItsCallerPartOfTheTimeThatItsContextHas(t *testing.T) {
	ln, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go ln.Accept()
	dark, err := Listen(t.Context(), "tcp", ln.Addr().String()) // a successor that is never ready
	if err != nil {
		t.Fatal(err)
	}
	defer dark.Close()
	const whole = 3 * time.Second
	ctx, stop := context.WithTimeout(t.Context(), whole)
	defer stop()
	v, err := ln.Retire(ctx)
	until, _ := ctx.Deadline()
	if left := time.Until(until); err != nil || left < whole/2 {
		t.Errorf("of %v the caller had %v left, %v", whole, left, err)
	}
	if v.Lossless || v.Successor {
		t.Errorf("verdict: %+v", v)
	}
}
