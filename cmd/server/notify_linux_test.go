package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red: stopping is said at the beginning; nobody looks each
// second; more time is asked for than there is, or by a stuck instance; the watchdog gets
// signs of life that nothing proves, or another's do; the hooks send themselves; stop does
// not say what is unsaid, or waits for ever; ready is said never, or with the end.

// manager reads what a service tells systemd.
type manager struct {
	*net.UnixConn
	heard []string
}

// manage listens at an address, which begins with @ where it is abstract.
func manage(t *testing.T, addr string) *manager {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return &manager{UnixConn: c}
}

func abstract(t *testing.T) string { return fmt.Sprintf("@overlap-%s-%d", t.Name(), os.Getpid()) }

// hear returns the next message, or "" when there is none within that time.
func (m *manager) hear(t *testing.T, within time.Duration) string {
	t.Helper()
	must(t, m.SetReadDeadline(time.Now().Add(within)))
	buf := make([]byte, 4<<10)
	n, err := m.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ""
	}
	must(t, err)
	text := string(buf[:n])
	t.Logf("%q", text)
	m.heard = append(m.heard, text)
	return text
}

// await hears messages until one has this in it.
func (m *manager) await(t *testing.T, part string) string {
	t.Helper()
	for {
		text := m.hear(t, 10*time.Second)
		if strings.Contains(text, part) {
			return text
		}
		if text == "" {
			t.Fatalf("no %q", part)
		}
	}
}

// count returns in how many of the messages this is.
func (m *manager) count(part string) (n int) {
	for _, text := range m.heard {
		n += strings.Count(text, part)
	}
	return n
}

func TestSystemdHearsWhatTheServiceDoes(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{"abstract": abstract(t), "path": filepath.Join(t.TempDir(), "notify")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := manage(t, addr)
			f := foundDynasty(t, withEnv(self("--drain-timeout", "20s"), "NOTIFY_SOCKET="+addr))
			if got, want := m.hear(t, 10*time.Second), "READY=1\nSTATUS=serving v1 on "+f.addr; got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
			slow := dialServer(t, f.addr)
			defer slow.Close()
			must(t, slow.send("/slow?for=3500ms"))
			f.answers(t, "v1")
			must(t, f.Process.Signal(syscall.SIGTERM))
			m.await(t, "STATUS=drained: lossless; 2 requests answered")
			if n := m.count("STOPPING=1"); n != 1 {
				t.Errorf("it is stopping %d times", n)
			}
			if n := m.count("linger, 1 busy, 0 idle, cuts in 1"); n < 3 {
				t.Errorf("in 3 s it said %d times what it does", n)
			}
			inOrder(t, m.heard, "READY=1", "STOPPING=1", "STATUS=retiring: linger", "STATUS=drained")
			for _, text := range m.heard {
				extendsAsItShould(t, text)
			}
			if code := f.leaves(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func inOrder(t *testing.T, heard []string, parts ...string) {
	t.Helper()
	at := 0
	for _, part := range parts {
		i := slices.IndexFunc(heard[at:], func(text string) bool { return strings.Contains(text, part) })
		if i < 0 {
			t.Fatalf("no %q, or too early", part)
		}
		at += i
	}
}

// extendsAsItShould sees that each message of a retirement, and no other, asks for time.
func extendsAsItShould(t *testing.T, text string) {
	t.Helper()
	_, value, extends := strings.Cut(text, "EXTEND_TIMEOUT_USEC=")
	if extends != strings.Contains(text, "STATUS=retiring") {
		t.Errorf("%q", text)
	}
	if usec, err := strconv.Atoi(value); extends && (err != nil || usec <= int(tellEvery/time.Microsecond)) {
		t.Errorf("%q: %v", text, err)
	}
}

func TestProgressSaysWhatIsLeftAndAsksForNoMoreTimeThanThat(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]time.Duration{
		time.Minute: extendBy, 0: exitTime, -time.Second: exitTime - time.Second, -time.Minute: exitTime - time.Minute,
	} {
		if got := extension(now.Add(left), now); got != want {
			t.Errorf("with %v left it is %v", left, got)
		}
	}
	for phase, want := range map[string]string{"": "retiring, 3 busy, 12 idle, cuts in 21s", "linger": "retiring: linger, 3 busy, 12 idle, cuts in 21s"} {
		s := control.Status{State: "retiring", Phase: phase, Deadline: now.Add(21 * time.Second),
			Connections: control.Connections{Active: 1, Hijacked: 2, Fresh: 3, Idle: 4, Closing: 5}}
		if got := progressOf(s, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if text := (tidings{extend: -time.Minute}).String(); text != "" {
		t.Errorf("said %q", text)
	}
}

func TestSystemdIsNotToldToStopWhileThereIsAWayBack(t *testing.T) {
	t.Parallel()
	m := manage(t, abstract(t))
	v1 := foundDynasty(t, withEnv(self(), "NOTIFY_SOCKET="+abstract(t)))
	v2 := foundDynasty(t, self("--release", "v2", "--addr", v1.addr))
	must(t, v2.Process.Signal(syscall.SIGSTOP)) // so v1 waits
	must(t, v1.Process.Signal(syscall.SIGTERM))
	m.await(t, "STATUS=retiring: steer")
	v1.await(t, "notice", "level", "WARN")
	if got := call(nil, "retire", "--undo", "--pid", fmt.Sprint(v1.Process.Pid)); got.code != 0 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	m.await(t, "STATUS=serving v1")
	if n := m.count("STOPPING=1"); n != 0 {
		t.Errorf("it was stopping %d times", n)
	}
	must(t, v2.Process.Signal(syscall.SIGCONT))
	must(t, v1.Process.Signal(syscall.SIGTERM))
	m.await(t, "STATUS=drained")
	if n := m.count("STOPPING=1"); n != 1 {
		t.Errorf("it was stopping %d times", n)
	}
}

func TestTheWatchdogGetsItsSignsOfLife(t *testing.T) {
	t.Parallel()
	m := manage(t, abstract(t))
	cmd := withEnv(inShell(`WATCHDOG_PID=$$ exec "$0" "$@"`), "NOTIFY_SOCKET="+abstract(t))
	f := foundDynasty(t, withEnv(cmd, "WATCHDOG_USEC=1000000"))
	signs := func(n int) {
		t.Helper()
		began := time.Now()
		for range n {
			m.await(t, "WATCHDOG=1")
		}
		if took := time.Since(began); took > time.Duration(n+1)*time.Second {
			t.Errorf("%d signs of life took %v", n, took)
		}
	}
	signs(4)
	slow := dialServer(t, f.addr)
	defer slow.Close()
	must(t, slow.send("/slow?for=4s"))
	f.answers(t, "v1")
	must(t, f.Process.Signal(syscall.SIGTERM))
	m.await(t, "STOPPING=1")
	signs(4)
	if _, err := slow.receive(); err != nil {
		t.Error(err)
	}
}

func TestTheWatchdogOfSomebodyElseGetsNothing(t *testing.T) {
	t.Parallel()
	m := manage(t, abstract(t))
	cmd := withEnv(withEnv(self(), "NOTIFY_SOCKET="+abstract(t)), "WATCHDOG_USEC=100000")
	foundDynasty(t, withEnv(cmd, "WATCHDOG_PID=1"))
	m.await(t, "READY=1")
	if text := m.hear(t, time.Second/2); text != "" {
		t.Errorf("heard %q", text)
	}
}

// stuck is an instance that answers when it is let.
type stuck struct{ sync.Mutex }

func (s *stuck) Retire()      {}
func (s *stuck) TakeBack()    {}
func (s *stuck) HandOver()    {}
func (s *stuck) Pin() error   { return nil }
func (s *stuck) Unpin() error { return nil }
func (s *stuck) Knock() error { return nil }

func (s *stuck) Status() control.Status {
	s.Lock()
	defer s.Unlock()
	return control.Status{State: "retiring", Phase: "linger", Deadline: time.Now().Add(time.Minute)}
}

// TestAStuckInstanceGivesNoSignOfLife has the one notifier that asks this process.
func TestAStuckInstanceGivesNoSignOfLife(t *testing.T) {
	m := manage(t, abstract(t))
	inst := new(stuck)
	e, err := control.Open(inst, nil)
	must(t, err)
	defer e.Close()
	t.Setenv("NOTIFY_SOCKET", abstract(t))
	t.Setenv("WATCHDOG_USEC", "400000")
	t.Setenv("WATCHDOG_PID", "")
	mirror := mirror{inst: &told{}}
	n := newNotifier(env{getenv: os.Getenv}, new(lines).logger(), mirror.ask)
	n.onState(overlap.StateServing, overlap.StateRetiring, "")
	m.await(t, "WATCHDOG=1")
	m.await(t, "EXTEND_TIMEOUT_USEC=")
	inst.Lock()
	for m.hear(t, time.Second/2) != "" { // until it is stuck
	}
	if text := m.hear(t, 2*askTimeout+time.Second); text != "" {
		t.Errorf("heard %q", text)
	}
	inst.Unlock()
	m.await(t, "WATCHDOG=1")
	m.await(t, "EXTEND_TIMEOUT_USEC=")
	n.stop()
}

func TestReadyIsTheFirstStateInWhichItIsThere(t *testing.T) {
	for _, test := range []struct {
		from, to overlap.State
		ready    bool
	}{
		{overlap.StateStarting, overlap.StateServing, true},
		{overlap.StateStarting, overlap.StateDark, true},
		{overlap.StateDark, overlap.StateServing, false},
		{overlap.StateStarting, overlap.StateDrained, false},
		{overlap.StateRetiring, overlap.StateServing, false},
	} {
		n := &notifier{}
		n.onState(test.from, test.to, "")
		if n.unsaid.ready != test.ready {
			t.Errorf("%v to %v: %q", test.from, test.to, n.unsaid)
		}
	}
}

func TestWithoutSystemdThereIsNoNotifier(t *testing.T) {
	n := newNotifier(env{getenv: vars{}.get}, nil, nil)
	if n != nil {
		t.Error("there is one")
	}
	n.onState(overlap.StateStarting, overlap.StateServing, "")
	n.onPhase(overlap.PhaseClose)
	n.onVerdict(overlap.Verdict{})
	n.stop()
}

// leavesAtOnce sees that a service whose manager does not hear it does all it should.
func leavesAtOnce(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	f := foundDynasty(t, cmd)
	f.answers(t, "v1")
	began := time.Now()
	must(t, f.Process.Signal(syscall.SIGTERM))
	f.await(t, "verdict", "lossless", true)
	if code := f.leaves(t); code != 0 || time.Since(began) > 5*time.Second {
		t.Errorf("exit code %d after %v", code, time.Since(began))
	}
}

func TestASystemdThatDoesNotReadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	m := manage(t, abstract(t))
	c, err := net.Dial("unixgram", abstract(t))
	must(t, err)
	defer c.Close()
	for err == nil { // until there is no room
		must(t, c.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
		_, err = c.Write([]byte("full"))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	leavesAtOnce(t, withEnv(self(), "NOTIFY_SOCKET="+abstract(t)))
	for m.hear(t, 100*time.Millisecond) != "" {
	}
	if m.count("READY=1") != 0 {
		t.Error("there was room")
	}
}

func TestASystemdThatIsNotThereHoldsUpNobody(t *testing.T) {
	t.Parallel()
	leavesAtOnce(t, withEnv(self(), "NOTIFY_SOCKET="+filepath.Join(t.TempDir(), "nobody")))
}
