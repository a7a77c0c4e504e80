package overlap

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests of this package start real processes: the test binary itself, in the
// role that the environment names.
const roleEnv = "OVERLAP_TEST_ROLE"

var roles = map[string]func(config) error{
	"serve":  serveRole,  // an instance, until SIGTERM
	"listen": listenRole, // a Listener that does not Accept before it is told to
	"squat":  squatRole,  // holds the port without sharing it

	"stranger": strangerRole, // shares the port, and is no instance
	"admin":    adminRole,    // has two instances and one endpoint, which it opens and closes when told to
}

// config is what a test tells a process.
type config struct {
	Release        string
	Addr           string
	Opts           Options `json:"-"`
	Linger         time.Duration
	Drain          time.Duration
	Finish         time.Duration
	Plain          bool
	Dark           bool
	HideProc       bool // as in a sandbox without /proc
	CrashOnServing bool
	WarmUp         bool // it listens, and does not accept before it is told to
	ReadHeader     time.Duration
	TLS            bool
	H2C            bool // HTTP/2 in clear, beside HTTP/1
	NoHTTP2        bool
	NoEndpoint     bool
}

// event is what a process tells the test, a line each.
type event struct {
	PID     int      `json:",omitempty"`
	Addr    string   `json:",omitempty"`
	State   string   `json:",omitempty"`
	Phase   Phase    `json:",omitempty"`
	Notice  string   `json:",omitempty"`
	Began   string   `json:",omitempty"` // the request whose handler has begun
	Verdict *Verdict `json:",omitempty"`
}

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Exit(m.Run())
	}
	var c config
	if err := json.NewDecoder(strings.NewReader(os.Getenv(roleEnv + "_CONFIG"))).Decode(&c); err != nil {
		panic(err)
	}
	if err := roles[role](c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tell writes an event to the test.
func tell(e event) { _ = json.NewEncoder(os.Stdout).Encode(e) }

// told closes a channel for each line of its own that the test writes.
type told struct {
	mu    sync.Mutex
	lines map[string]chan struct{}
}

func listenToTest() *told {
	t := &told{lines: make(map[string]chan struct{})}
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			close(t.channel(in.Text()))
		}
	}()
	return t
}

func (t *told) channel(line string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines[line] == nil {
		t.lines[line] = make(chan struct{})
	}
	return t.lines[line]
}

// bigBody is longer than what the kernel buffers of a connection on loopback.
var bigBody = strings.Repeat("0123456789abcdef", 1<<20)

// service is what the instances of the tests serve.
func service(release string, test *told) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	// hold answers when the test says so; early has sent its header by then.
	mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		<-test.channel("release")
		io.WriteString(w, "held")
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-test.channel("release")
		io.WriteString(w, "held")
	})
	// medium fits into the send buffer, so that its handler ends; big does not.
	mux.HandleFunc("/medium", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, bigBody[:1<<20]) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, bigBody) })
	transfers(mux, test)
	longLived(mux, test)
	mux.HandleFunc("/retiring", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-Retiring(r.Context())
		io.WriteString(w, "told")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Release", release)
		mux.ServeHTTP(w, r)
	})
}

func serveRole(c config) error {
	if c.HideProc {
		if err := syscall.Mount("none", "/proc", "tmpfs", 0, ""); err != nil {
			return err
		}
	}
	var inst *Instance
	inst = New(Options{
		Release: c.Release, LingerTimeout: c.Linger, DrainTimeout: c.Drain, FinishTimeout: c.Finish, Plain: c.Plain, Dark: c.Dark, NoEndpoint: c.NoEndpoint,
		OnState: func(_, to State) {
			tell(event{PID: os.Getpid(), State: to.String(), Addr: fmt.Sprint(inst.Addrs())})
			if c.CrashOnServing && to == StateServing {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		},
		OnPhase:   func(p Phase) { tell(event{Phase: p}) },
		OnNotice:  func(n string) { tell(event{Notice: n}) },
		OnVerdict: func(v Verdict) { tell(event{Verdict: &v}) },
	})
	test := listenToTest()
	go func() { <-test.channel("take back"); inst.TakeBack() }()
	defer handleSignals(inst)()
	srv := server(c, test)
	if c.WarmUp {
		srv.BaseContext = func(ln net.Listener) context.Context {
			tell(event{PID: os.Getpid(), State: "listening", Addr: fmt.Sprint([]net.Addr{ln.Addr()})})
			<-test.channel("accept")
			return context.Background()
		}
	}
	return inst.Serve(srv)
}

func listenRole(c config) error {
	ln, err := Listen(context.Background(), "tcp", c.Addr)
	if err != nil {
		return err
	}
	test := listenToTest()
	tell(event{PID: os.Getpid(), State: "listening", Addr: fmt.Sprint([]net.Addr{ln.Addr()})})
	<-test.channel("accept")
	return http.Serve(ln, service(c.Release, test))
}

// instance is a process under test.
type instance struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.Writer
	stderr *strings.Builder
	addr   string
	pid    int // of the instance; the command may be a shell that started it

	mu     sync.Mutex
	news   sync.Cond
	events []event
	over   bool
	exit   error
}

// start starts a process and waits until it says that it serves or listens. edit
// may change the command.
func start(t testing.TB, role string, c config, edit ...func(*exec.Cmd)) *instance {
	t.Helper()
	p := launch(t, role, c, edit...)
	e := p.await(func(e event) bool { return slices.Contains([]string{"serving", "dark", "listening"}, e.State) })
	p.pid = e.PID
	p.addr = strings.Trim(e.Addr, "[]")
	if strings.Contains(p.addr, "]") || strings.HasPrefix(p.addr, ":") {
		p.addr = "[" + p.addr // an IPv6 address lost its bracket
	}
	return p
}

// launch starts a process.
func launch(t testing.TB, role string, c config, edit ...func(*exec.Cmd)) *instance {
	t.Helper()
	c.Addr = cmp.Or(c.Addr, "127.0.0.1:0")
	c.Linger = cmp.Or(c.Linger, 300*time.Millisecond)
	conf, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &instance{t: t, stderr: new(strings.Builder)}
	p.news.L = &p.mu
	p.cmd = exec.Command("/proc/self/exe")
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role, roleEnv+"_CONFIG="+string(conf))
	p.cmd.Stderr = p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	for _, f := range edit {
		f(p.cmd)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(stdout)
	p.pid = p.cmd.Process.Pid
	t.Cleanup(func() {
		p.kill()
		p.awaitExit()
	})
	return p
}

// follow collects events until the process ends.
func (p *instance) follow(stdout io.Reader) {
	for dec := json.NewDecoder(stdout); ; {
		var e event
		if dec.Decode(&e) != nil {
			break
		}
		p.mu.Lock()
		p.events = append(p.events, e)
		p.news.Broadcast()
		p.mu.Unlock()
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over, p.exit = true, err
	p.news.Broadcast()
}

// await waits for an event.
func (p *instance) await(wanted func(event) bool) event {
	p.t.Helper()
	found, ok := p.awaitOrExit(wanted)
	if !ok {
		p.t.Fatalf("process ended (%v) without the event; it said %s", p.exit, p.stderr)
	}
	return found
}

func (p *instance) awaitOrExit(wanted func(event) bool) (event, bool) {
	p.t.Helper()
	const bound = 40 * time.Second
	watchdog := time.AfterFunc(bound, p.kill)
	defer watchdog.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if i := slices.IndexFunc(p.events, wanted); i >= 0 {
			return p.events[i], true
		}
		if p.over {
			return event{}, false
		}
		p.news.Wait()
	}
}

func (p *instance) awaitPhase(phase Phase) {
	p.t.Helper()
	p.await(func(e event) bool { return e.Phase == phase })
}

// awaitStates waits until the process has been in all of these, in this order.
func (p *instance) awaitStates(want ...string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.over {
		seen := 0
		for _, e := range p.events {
			if seen < len(want) && e.State == want[seen] {
				seen++
			}
		}
		if seen == len(want) {
			return
		}
		p.news.Wait()
	}
	p.t.Fatalf("process ended without having been %v", want)
}

func (p *instance) awaitNotice(text string) {
	p.t.Helper()
	p.await(func(e event) bool { return strings.Contains(e.Notice, text) })
}

// awaitExit returns the exit code, -1 when a signal ended the process.
func (p *instance) awaitExit() int {
	p.t.Helper()
	p.awaitOrExit(func(event) bool { return false })
	return p.cmd.ProcessState.ExitCode()
}

// retire sends SIGTERM.
func (p *instance) retire() { p.signal(syscall.SIGTERM) }

func (p *instance) signal(s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, s); err != nil {
		p.t.Fatalf("signal %v: %v", s, err)
	}
}

// kill ends the process at once, unless it has ended.
func (p *instance) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

// say writes a line to the process.
func (p *instance) say(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, line); err != nil {
		p.t.Fatal(err)
	}
}

// verdict waits for the exit and returns the verdict.
func (p *instance) verdict() Verdict {
	p.t.Helper()
	e := p.await(func(e event) bool { return e.Verdict != nil })
	p.awaitExit()
	return *e.Verdict
}

// leaves retires the process and fails the test unless it was lossless.
func (p *instance) leaves() Verdict {
	p.t.Helper()
	p.retire()
	v := p.verdict()
	if code := p.cmd.ProcessState.ExitCode(); !v.Lossless || code != 0 {
		p.t.Errorf("retirement was not lossless, exit code %d: %+v", code, v)
	}
	return v
}
