// Broken on purpose, and seen red:
//
//   - connected sockets are endpoints, too: TestOnlyListenersAreEndpoints
//   - everybody is a friend: TestACallerOfAnotherUserGetsNothing
//   - everybody is trusted: TestAnEndpointOfAnotherUserIsNotAsked
//   - tell waits: TestAFollowerThatDoesNotReadHoldsUpNobody
//   - what is said is not cleaned: TestWhatAnEndpointSaysDoesNothingToATerminal
//   - Follow has no deadline: TestOneThatDoesNotAnswerIsFoundAndHoldsNobodyUp
//   - Close closes at once: TestAFollowerHearsAllUntilTheEnd
//   - an answer has to be written within the time of the order: TestAnOrderMayTakeLongerThanAnAnswer
//   - private answers are not bounded, or asked before ours: TestWhatIsPrivateIsAnsweredBeside

package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stub is an instance that counts what it is told.
type stub struct {
	status            Status
	retired, tookBack atomic.Int32
	pinned            atomic.Int32
	handedOver        atomic.Int32
	refuses           error
	takes             time.Duration // to knock
}

func (s *stub) Status() Status { return s.status }
func (s *stub) Retire()        { s.retired.Add(1) }
func (s *stub) HandOver()      { s.handedOver.Add(1) }
func (s *stub) TakeBack()      { s.tookBack.Add(1) }
func (s *stub) Pin() error     { s.pinned.Add(1); return s.refuses }
func (s *stub) Unpin() error   { s.pinned.Add(-1); return s.refuses }
func (s *stub) Knock() error   { <-time.After(s.takes); return s.refuses }

func open(t *testing.T, inst Instance) *Endpoint {
	t.Helper()
	e, err := Open(inst, nil)
	must(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// found returns the instance with this name, if Find finds it.
func found(t *testing.T, name string) *Found {
	t.Helper()
	all, err := Find(t.Context(), 5*time.Second)
	must(t, err)
	for _, f := range all {
		if f.Instance == name {
			return &f
		}
	}
	return nil
}

func TestAnInstanceIsFoundAskedAndTold(t *testing.T) {
	s := &stub{status: Status{Release: "v1", PID: 1, State: "serving", Ports: []Port{{Addr: "127.0.0.1:80", Pinned: true}}}}
	e := open(t, s)
	f := found(t, e.name)
	if f == nil || f.Err != nil {
		t.Fatalf("found %+v", f)
	}
	if f.Release != "v1" || f.State != "serving" || len(f.Ports) != 1 || !f.Ports[0].Pinned {
		t.Errorf("it says %+v", f.Status)
	}
	if f.PID != syscall.Getpid() {
		t.Errorf("the pid is %d: what the kernel says counts, not what the instance does", f.PID)
	}
	_, err := Retire(t.Context(), e.name)
	must(t, err)
	_, err = TakeBack(t.Context(), e.name)
	must(t, err)
	_, err = HandOver(t.Context(), e.name)
	must(t, err)
	if s.retired.Load() != 1 || s.tookBack.Load() != 1 || s.handedOver.Load() != 1 {
		t.Errorf("told to retire %d times, to stay %d times, to hand over %d times", s.retired.Load(), s.tookBack.Load(), s.handedOver.Load())
	}
	must(t, e.Close())
	if found(t, e.name) != nil {
		t.Error("it is found after its end")
	}
	if _, err := Ask(t.Context(), e.name); err == nil {
		t.Error("it answers after its end")
	}
}

func TestAnInstanceSaysWhyItDoesNotDoWhatItIsTold(t *testing.T) {
	s := &stub{}
	e := open(t, s)
	for n, do := range map[int32]func(context.Context, string) (Status, error){1: Pin, 0: Unpin} {
		s.pinned.Store(1 - n)
		if got, err := do(t.Context(), e.name); err != nil || got.Instance != "" && got.Instance != e.name || s.pinned.Load() != n {
			t.Errorf("%+v, %v, pinned %d, want %d", got, err, s.pinned.Load(), n)
		}
	}
	s.refuses = errors.New("nobody takes over\x1b[2J")
	for _, do := range []func(context.Context, string) (Status, error){Pin, Unpin, Knock} {
		if _, err := do(t.Context(), e.name); err == nil || err.Error() != "nobody takes over\uFFFD[2J" {
			t.Errorf("it says %q", err)
		}
	}
}

func TestAnOrderMayTakeLongerThanAnAnswer(t *testing.T) {
	t.Parallel()
	e := open(t, &stub{status: Status{Release: "v1"}, takes: patience + time.Second})
	if s, err := Knock(t.Context(), e.name); err != nil || s.Release != "v1" {
		t.Errorf("it answers %+v, %v", s, err)
	}
}

func TestOnlyListenersAreEndpoints(t *testing.T) {
	const begin = "0000000000000000: 00000002 00000000 "
	for line, want := range map[string]string{
		begin + "00010000 0001 01 40711 @overlap/v1/ABC":          "ABC",
		begin + "00000000 0001 03 40712 @overlap/v1/ABC":          "", // a connection of its
		begin + "00010000 0001 01 40713 @overlap/v2/ABC":          "", // of another language
		begin + "00010000 0001 01 40714 /run/overlap/v1/A":        "",
		begin + "00010000 0001 01 40715":                          "",
		"Num       RefCount Protocol Flags    Type St Inode Path": "",
	} {
		if name, is := nameIn(line); is != (want != "") || is && name != want {
			t.Errorf("%q is %q, %v, want %q", line, name, is, want)
		}
	}
}

func TestAFollowerHearsAllUntilTheEnd(t *testing.T) {
	e := open(t, &stub{status: Status{Release: "v1"}})
	verdict := json.RawMessage(`{"lossless":true}`)
	var got []string
	err := Follow(t.Context(), e.name, func(ev Event) error {
		switch {
		case ev.Status != nil:
			got = append(got, "status of "+ev.Status.Release)
			if len(got) == 1 {
				e.Tell(Event{State: "retiring"})
				e.Tell(Event{Phase: "steer"})
				e.Tell(Event{Notice: "careful"})
				e.Tell(Event{Verdict: verdict})
				go e.Close()
			}
		default:
			got = append(got, ev.State+ev.Phase+ev.Notice+string(ev.Verdict))
		}
		if ev.Time.IsZero() {
			t.Errorf("%+v has no time", ev)
		}
		return nil
	})
	must(t, err)
	if want := []string{"status of v1", "retiring", "steer", "careful", string(verdict)}; !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func TestAFollowerMayStopListening(t *testing.T) {
	e := open(t, &stub{})
	enough := errors.New("enough")
	if err := Follow(t.Context(), e.name, func(Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Follow returned %v", err)
	}
}

// say connects and sends a request, and does no more.
func say(t *testing.T, e *Endpoint, text string) net.Conn {
	t.Helper()
	c, _, err := dial(t.Context(), e.name)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = io.WriteString(c, text)
	must(t, err)
	return c
}

func TestAFollowerThatDoesNotReadHoldsUpNobody(t *testing.T) {
	e := open(t, &stub{})
	say(t, e, "GET /v1/events HTTP/1.1\r\nHost: h\r\n\r\n")
	for listens := false; !listens; {
		e.feed.mu.Lock()
		listens = len(e.feed.ears) == 1
		e.feed.mu.Unlock()
	}
	began := time.Now()
	for range 10_000 {
		e.Tell(Event{Notice: string(make([]byte, 1000))})
	}
	e.Close()
	if took := time.Since(began); took > parting+3*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAThousandCallersAtOnceAreAnswered(t *testing.T) {
	e := open(t, &stub{status: Status{Release: "v1"}})
	for range 1000 {
		say(t, e, "GET /v1/status HTTP/1.1\r\n")
	}
	if s, err := Ask(t.Context(), e.name); err != nil || s.Release != "v1" {
		t.Errorf("the next one got %+v, %v", s, err)
	}
}

func TestACallerThatSaysNothingIsCut(t *testing.T) {
	t.Parallel()
	e := open(t, &stub{})
	c := say(t, e, "GET /v1/status HTTP/1.1\r\n")
	c.SetReadDeadline(time.Now().Add(2 * patience))
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("it was not: %v", err)
	}
}

// as runs f on a thread whose user is another one. The thread ends with it.
func as(t *testing.T, uid int, f func()) {
	t.Helper()
	if syscall.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		const keep = ^uintptr(0)
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
			done <- fmt.Errorf("become user %d: %w", uid, errno)
			return
		}
		f()
		done <- nil
	}()
	must(t, <-done)
}

func TestACallerOfAnotherUserGetsNothing(t *testing.T) {
	s := new(stub)
	e := open(t, s)
	as(t, 65534, func() {
		c, err := net.Dial("unix", "@"+prefix+e.name)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "POST /v1/retire HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n") // may be refused already
		if said, _ := io.ReadAll(c); len(said) > 0 {
			t.Errorf("it said %q", said)
		}
	})
	if _, err := Ask(t.Context(), e.name); err != nil { // by now it has seen the other, too
		t.Error(err)
	}
	if s.retired.Load() > 0 {
		t.Error("it obeyed")
	}
}

func TestAnEndpointOfAnotherUserIsNotAsked(t *testing.T) {
	var theirs *Endpoint
	as(t, 65534, func() { theirs, _ = Open(new(stub), nil) })
	if theirs == nil {
		t.Fatal("it did not open")
	}
	defer theirs.Close()
	as(t, 65533, func() {
		if _, err := Ask(context.Background(), theirs.name); !errors.Is(err, errForeign) {
			t.Errorf("asked it, and got %v", err)
		}
	})
}

// root asks the endpoints of users whom it need not trust.
func TestWhatAnEndpointSaysDoesNothingToATerminal(t *testing.T) {
	evil := "v1\x1b[2J\r\n"
	e := open(t, &stub{status: Status{Release: evil, Ports: []Port{{Addr: evil}}}})
	f := found(t, e.name)
	if f == nil || f.Release != "v1\ufffd[2J\ufffd\ufffd" || f.Ports[0].Addr != f.Release {
		t.Errorf("found %+v", f)
	}
	err := Follow(t.Context(), e.name, func(ev Event) error {
		switch {
		case ev.Status != nil && ev.Status.Release == f.Release:
			e.Tell(Event{Notice: evil})
		case ev.Notice == f.Release:
			go e.Close()
		default:
			t.Errorf("heard %+v", ev)
		}
		return nil
	})
	must(t, err)
}

// An endpoint that accepts and is silent, as that of a stopped process.
func TestOneThatDoesNotAnswerIsFoundAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	const name = "SILENT"
	ln, err := listen(name)
	must(t, err)
	defer ln.Close()
	all, err := Find(t.Context(), 100*time.Millisecond)
	must(t, err)
	i := slices.IndexFunc(all, func(f Found) bool { return f.Instance == name })
	if i < 0 || all[i].Err == nil || all[i].PID != syscall.Getpid() {
		t.Errorf("found %+v", all)
	}
	began := time.Now()
	if err := Follow(t.Context(), name, func(Event) error { return nil }); err == nil || time.Since(began) > 2*quiet {
		t.Errorf("followed it for %v: %v", time.Since(began), err)
	}
}

func TestWhatIsPrivateIsAnsweredBeside(t *testing.T) {
	e, err := Open(&stub{status: Status{Release: "v1"}}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("Accept"), asked)
		if len(asked) > len("body") {
			w.Write(make([]byte, mostPrivate))
		}
	}))
	must(t, err)
	defer e.Close()
	say := func(body string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/metrics?a=b", strings.NewReader(body))
		must(t, err)
		r.Header.Set("Accept", "all")
		resp, err := Private(e.name, r)
		must(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	}
	if got, err := say("body"); err != nil || got != "POST /metrics?a=b all body" {
		t.Errorf("it answered %q, %v", got, err)
	}
	if got, err := say("all there is"); err == nil || len(got) > mostPrivate {
		t.Errorf("%d bytes of it were read, %v", len(got), err)
	}
	if s, err := Ask(t.Context(), e.name); err != nil || s.Release != "v1" {
		t.Errorf("the endpoint's own answer is %+v, %v", s, err)
	}
}
