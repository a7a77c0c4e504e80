package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests start real processes: the test binary itself, as the program.
const asProgram = "ECHO_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// line is what an instance logs, as far as the tests read it.
type line struct {
	Msg     string
	Addr    string
	Verdict verdict
	Calls   int
	Cut     int
}

type verdict struct {
	Lossless  bool
	Successor bool
	Reason    string
}

// instance is a process under test.
type instance struct {
	t    testing.TB
	cmd  *exec.Cmd
	addr string
	log  chan line // until the process ends
}

// start starts an instance that is in rotation, or will be in a moment.
func start(t testing.TB, release, addr string, flags ...string) *instance {
	t.Helper()
	p := &instance{t: t, cmd: exec.CommandContext(t.Context(), "/proc/self/exe"), log: make(chan line, 100)}
	p.cmd.Args = append([]string{"echo", "serve", "-release", release, "-addr", addr}, flags...)
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stderr = t.Output()
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		p.follow(stdout)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // no harm if it has ended
		<-followed
	})
	p.addr = p.await("serving").Addr
	return p
}

func (p *instance) follow(stdout io.Reader) {
	for in := bufio.NewScanner(stdout); in.Scan(); {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			p.t.Errorf("%s logs %q: %v", p.cmd, in.Text(), err)
		}
		p.log <- l
	}
	p.cmd.Wait()
	close(p.log)
}

// await returns the next line with this message.
func (p *instance) await(msg string) line {
	p.t.Helper()
	for late := time.After(30 * time.Second); ; {
		select {
		case l, running := <-p.log:
			if !running {
				p.t.Fatalf("the process ended (%v) before it was %s", p.cmd.ProcessState, msg)
			}
			if l.Msg == msg {
				return l
			}
		case <-late:
			p.t.Fatalf("the process is not %s after 30 s", msg)
		}
	}
}

// retire tells the instance to leave.
func (p *instance) retire() { p.signal(syscall.SIGTERM) }

func (p *instance) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// left waits until the instance has left, and returns what it says about it.
func (p *instance) left() (report line, code int) {
	p.t.Helper()
	report = p.await("left")
	for range p.log { // until the end
	}
	return report, p.cmd.ProcessState.ExitCode()
}

// leaves retires the instance and fails the test unless nothing was lost. It returns
// how many calls the instance has seen.
func (p *instance) leaves() (calls int) {
	p.t.Helper()
	p.retire()
	report, code := p.left()
	if code != exitDrained || !report.Verdict.Lossless || report.Cut > 0 {
		p.t.Errorf("left with code %d and %+v", code, report)
	}
	return report.Calls
}

// awaitQueue waits until the kernel holds n connections that nobody has accepted.
func awaitQueue(t testing.TB, addr string, n int) {
	t.Helper()
	late := time.After(30 * time.Second)
	for tick := time.Tick(5 * time.Millisecond); queued(t, addr) < n; {
		select {
		case <-tick:
		case <-late:
			t.Fatalf("no %d connections wait for somebody who accepts", n)
		}
	}
}

// queued adds up the accept queues of a port: rx_queue of a socket in LISTEN (0A).
func queued(t testing.TB, addr string) (sum int) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(addr).Port()
	for row := range strings.Lines(string(table)) {
		var slot, local, remote string
		var state, tx, rx int
		fmt.Sscanf(row, "%s %s %s %x %x:%x", &slot, &local, &remote, &state, &tx, &rx)
		if state == 0x0A && strings.HasSuffix(local, fmt.Sprintf(":%04X", port)) {
			sum += rx
		}
	}
	return sum
}
