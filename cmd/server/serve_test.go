package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap"
)

// logged returns the log of a service in which something happens.
func logged(cfg config, happens func(overlap.Options)) *lines {
	log := &lines{}
	env := env{stderr: log, getenv: vars{}.get}
	s := newService(cfg, nil, newLogger(env, cfg))
	happens(s.options())
	return log
}

func TestEachStateChangeIsOneLine(t *testing.T) {
	log := logged(config{Release: "v1"}, func(o overlap.Options) {
		o.OnState(overlap.StateServing, overlap.StateRetiring)
	})
	line := log.only(t)
	if line["msg"] != "state" || line["from"] != "serving" || line["to"] != "retiring" || line["pid"] != float64(os.Getpid()) {
		t.Errorf("logged %v", line)
	}
	releaseOnce(t, log)
}

func TestServingSaysWhereAndWhatItCanPromise(t *testing.T) {
	line := logged(config{Release: "v1"}, func(o overlap.Options) {
		o.OnState(overlap.StateStarting, overlap.StateServing)
	}).only(t)
	if _, ok := line["addr"]; !ok || line["tier"] == nil {
		t.Errorf("logged %v", line)
	}
}

func TestVerdictIsOneFlatLine(t *testing.T) {
	for _, test := range []struct {
		lossless, successor bool
		level               string
	}{{true, true, "INFO"}, {false, true, "WARN"}, {true, false, "WARN"}} {
		log := logged(config{Release: "v1"}, func(o overlap.Options) {
			o.OnVerdict(overlap.Verdict{
				Release: "v1", Lossless: test.lossless, Successor: test.successor, Requests: 7,
				Phases: map[overlap.Phase]time.Duration{overlap.PhaseSettle: 1500 * time.Millisecond},
			})
		})
		line := log.only(t)
		if line["msg"] != "verdict" || line["level"] != test.level || line["lossless"] != test.lossless || line["requests"] != 7.0 {
			t.Errorf("logged %v", line)
		}
		if phases := line["phases"].(map[string]any); phases["settle"] != 1.5 {
			t.Errorf("phases %v, want seconds", phases)
		}
		releaseOnce(t, log)
	}
}

func releaseOnce(t testing.TB, log *lines) {
	t.Helper()
	if got := strings.Count(log.String(), `"release":"v1"`); got != 1 {
		t.Errorf("release is said %d times: %s", got, log.String())
	}
}

func TestNoticesAreWarningsAndPhasesAreDetail(t *testing.T) {
	all := logged(config{LogLevel: -4}, func(o overlap.Options) {
		o.OnNotice("no successor")
		o.OnPhase(overlap.PhaseSteer)
	}).all(t)
	if all[0]["level"] != "WARN" || all[0]["text"] != "no successor" {
		t.Errorf("logged %v", all[0])
	}
	if all[1]["level"] != "DEBUG" || all[1]["phase"] != "steer" {
		t.Errorf("logged %v", all[1])
	}
}

func TestOptionsAreWhatWasConfigured(t *testing.T) {
	s := newService(config{
		Release: "v1", DrainTimeout: 4, FinishTimeout: 3, LingerTimeout: 0, SettleTimeout: 1,
		AllowMismatch: true, AllowStrangers: true, Retire: retirePlain,
	}, nil, nil)
	o := s.options()
	if o.Release != "v1" || o.DrainTimeout != 4 || o.FinishTimeout != 3 || o.SettleTimeout != 1 || !o.AllowMismatch || !o.AllowStrangers || !o.Plain {
		t.Errorf("got %+v", o)
	}
	if o.LingerTimeout == 0 {
		t.Error("a linger of 0 would mean the default")
	}
}

func TestFailureIsToldOnceAndCutsAreToldByTheVerdict(t *testing.T) {
	for _, test := range []struct {
		err   error
		lines int
	}{
		{nil, 0},
		{errors.New("listen tcp :80: permission denied"), 1},
		{fmt.Errorf("retire: %w", overlap.ErrCut), 0},
	} {
		var log lines
		err := (&service{log: log.logger()}).tell(test.err)
		if len(log.all(t)) != test.lines || !errors.Is(err, test.err) {
			t.Errorf("%v: returned %v, logged %s", test.err, err, log.String())
		}
	}
}

func TestASlowClientCannotHoldAConnectionForEver(t *testing.T) {
	s := &service{cfg: config{Release: "v1"}, log: new(lines).logger()}
	srv := s.server(address{hostport: ":1"}, http.NotFoundHandler())
	if srv.ReadHeaderTimeout <= 0 || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 {
		t.Errorf("got %+v", srv)
	}
	if srv.ReadHeaderTimeout < time.Minute {
		t.Errorf("a request has %v to arrive, which a network that loses packets may take", srv.ReadHeaderTimeout)
	}
	if srv.ReadTimeout != 0 || srv.WriteTimeout != 0 {
		t.Error("a long request is cut")
	}
}

// process is a running `server serve`.
type process struct {
	*exec.Cmd
	stderr io.Closer
	log    *bufio.Scanner // reads stderr
}

// start runs the program with args. Its life is bounded, so that no test hangs.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startFor(t, 20*time.Second, args...)
}

func startFor(t *testing.T, life time.Duration, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), life)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"serve"}, args...)...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, stderr, bufio.NewScanner(stderr)}
}

// await reads the log up to the line with this message, and the state "to" if
// that is not "".
func (p *process) await(t *testing.T, msg, to string) map[string]any {
	t.Helper()
	for p.log.Scan() {
		line := parseLine(t, p.log.Text())
		if line["msg"] == msg && (to == "" || line["to"] == to) {
			return line
		}
		t.Log(p.log.Text())
	}
	t.Fatalf("the process has ended without %s %s", msg, to)
	return nil
}

func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// exit returns the exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	for p.log.Scan() {
		t.Log(p.log.Text())
	}
	_ = p.Wait() // the code says it too
	return p.ProcessState.ExitCode()
}

func TestServeAnswersUntilItIsToldToLeave(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "v1", "--linger-timeout", "100ms")
	addr := p.await(t, "state", "serving")["addr"].(string)
	code, body := get(t, "http://"+addr+"/")
	if code != http.StatusOK || body != "hello from v1\n" {
		t.Errorf("answered %d %q", code, body)
	}
	p.signal(t, syscall.SIGTERM)
	p.await(t, "state", "retiring")
	if verdict := p.await(t, "verdict", ""); verdict["requests"] != 1.0 {
		t.Errorf("verdict %v", verdict)
	}
	if code := p.exit(t); code != exitDrained {
		t.Errorf("exit code %d", code)
	}
}

func TestLosingTheReaderOfTheLogLosesNoRequest(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "v1", "--linger-timeout", "100ms")
	addr := p.await(t, "state", "serving")["addr"].(string)
	if err := p.stderr.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // each writes a line of the access log
		if code, _ := get(t, "http://"+addr+"/"); code != http.StatusOK {
			t.Errorf("answered %d", code)
		}
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t); code != exitDrained {
		t.Errorf("exit code %d", code)
	}
}

func TestCutIsAnExitCodeOfItsOwn(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "v1")
	addr := p.await(t, "state", "serving")["addr"].(string)
	begun, answered := make(chan struct{}), make(chan error)
	go func() { answered <- holdOpen("http://"+addr+"/echo", begun) }()
	<-begun
	p.signal(t, syscall.SIGTERM)
	p.await(t, "state", "retiring")
	p.signal(t, usr2)
	if verdict := p.await(t, "verdict", ""); verdict["cut"] != 1.0 || verdict["level"] != "WARN" {
		t.Errorf("verdict %v", verdict)
	}
	if err := <-answered; err == nil {
		t.Error("the request was answered, so nothing was cut")
	}
	if code := p.exit(t); code != exitCut {
		t.Errorf("exit code %d", code)
	}
}

// holdOpen sends half a body and waits for the response. begun is closed when
// the response has begun, so the server has the request.
func holdOpen(url string, begun chan<- struct{}) error {
	body, feed := io.Pipe()
	defer feed.Close()
	go feed.Write(make([]byte, 64<<10)) // enough to fill the response's first buffer
	resp, err := http.Post(url, "application/octet-stream", body)
	close(begun)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAddressThatIsNotOursIsAFailureToStart(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "192.0.2.1:80")
	line := p.await(t, "serve", "")
	if line["level"] != "ERROR" {
		t.Errorf("logged %v", line)
	}
	if code := p.exit(t); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}

// A client that sends its header byte by byte, for ever.
func TestAHeaderThatNeverEndsDoesNotHoldTheExit(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "v1", "--linger-timeout", "100ms", "--drain-timeout", "3s")
	addr := p.await(t, "state", "serving")["addr"].(string)
	c, err := net.Dial("tcp", addr)
	must(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nX: ")
	must(t, err)
	go func() {
		tick := time.NewTicker(time.Second / 4)
		defer tick.Stop()
		for err := error(nil); err == nil; _, err = io.WriteString(c, "x") {
			<-tick.C
		}
	}()
	get(t, "http://"+addr+"/") // its beginning has been read when this is answered
	p.signal(t, syscall.SIGTERM)
	begun := time.Now()
	v := p.await(t, "verdict", "")
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("the exit took %v, with a drain-timeout of 3s", took)
	}
	if lost := v["cut"].(float64) + v["late"].(float64); lost != 1 {
		t.Errorf("verdict %v", v)
	}
}
