package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// dynasty is a server and those that succeed it. They write to one log.
type dynasty struct {
	*exec.Cmd
	addr  string
	lines chan map[string]any // of the log; closed when all have ended
	ended chan struct{}       // closed when the first one has
}

// foundDynasty starts the first of a dynasty, and returns when that serves, on a port of its own.
func foundDynasty(t *testing.T, cmd *exec.Cmd) *dynasty {
	t.Helper()
	f := launch(t, cmd)
	f.await(t, "state", "to", "serving")
	return f
}

// launch starts a server that gets its address from the environment.
func launch(t *testing.T, cmd *exec.Cmd) *dynasty {
	t.Helper()
	f := &dynasty{Cmd: cmd, addr: freeAddr(t), lines: make(chan map[string]any, 1000), ended: make(chan struct{})}
	log, out, err := os.Pipe()
	must(t, err)
	cmd.Stderr = out
	cmd.Env = append(cmd.Environ(), asServer+"=1", "OVERLAP_ADDR="+f.addr, "OVERLAP_ACCESS_LOG=false", "OVERLAP_LOG_FORMAT=json")
	must(t, cmd.Start())
	out.Close()
	t.Cleanup(func() { f.kill(t); log.Close() })
	go func() {
		defer close(f.lines)
		for in := bufio.NewScanner(log); in.Scan(); {
			f.lines <- parseLine(t, in.Text())
		}
	}()
	go func() {
		defer close(f.ended)
		cmd.Wait()
	}()
	return f
}

// kill ends all of the dynasty that there may be.
func (f *dynasty) kill(t *testing.T) {
	f.Process.Kill()
	<-f.ended
	all, err := control.Find(context.Background(), askTimeout)
	if err != nil {
		t.Error(err)
	}
	for _, is := range all {
		if is.Addr == f.addr {
			syscall.Kill(is.PID, syscall.SIGKILL)
		}
	}
}

// freeAddr is one that nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// await reads the log up to a line with this message, in which key is value.
func (f *dynasty) await(t *testing.T, msg, key string, value any) map[string]any {
	t.Helper()
	late := time.After(15 * time.Second)
	for {
		select {
		case line, ok := <-f.lines:
			if !ok {
				t.Fatalf("all have ended without %s, %s %v", msg, key, value)
			}
			t.Log(line)
			if line["msg"] == msg && line[key] == value {
				return line
			}
		case <-late:
			t.Fatalf("no %s, %s %v", msg, key, value)
		}
	}
}

// hangUp sends HUP, and returns the pid of the successor when that serves.
func (f *dynasty) hangUp(t *testing.T, pid int) int {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGHUP))
	next := f.await(t, "successor", "pid", float64(pid))["next_pid"].(float64)
	return int(next)
}

// refuses sends HUP, and returns the line that says why nothing happens.
func (f *dynasty) refuses(t *testing.T) string {
	t.Helper()
	must(t, f.Process.Signal(syscall.SIGHUP))
	line := f.await(t, "signal", "act", "nothing")
	if line["signal"] != "HUP" || line["level"] != "WARN" {
		t.Errorf("logged %v", line)
	}
	f.answers(t, "v1")
	return line["why"].(string)
}

// answers asks for the release, on a connection of its own.
func (f *dynasty) answers(t *testing.T, release string) {
	t.Helper()
	c := dialServer(t, f.addr)
	defer c.Close()
	if resp, err := c.ask("/"); err != nil || resp.Header.Get("Release") != release {
		t.Errorf("answered %v, %v, want %s", resp, err, release)
	}
}

// leaves waits until the first one has ended, and returns its exit code.
func (f *dynasty) leaves(t *testing.T) int {
	t.Helper()
	select {
	case <-f.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not leave")
	}
	return f.ProcessState.ExitCode()
}

// self is the test binary, as a server.
func self(args ...string) *exec.Cmd {
	return exec.Command(os.Args[0], append([]string{"serve", "--release", "v1", "--linger-timeout", "1s"}, args...)...)
}

// conn is a connection that tries nothing twice.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func dialServer(t *testing.T, addr string) *conn {
	t.Helper()
	c, err := dialConn(addr)
	must(t, err)
	return c
}

func dialConn(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return &conn{c, bufio.NewReader(c)}, nil
}

func (c *conn) send(path string) error {
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path)
	return err
}

func (c *conn) receive() (*http.Response, error) {
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return resp, err
}

func (c *conn) ask(path string) (*http.Response, error) {
	if err := c.send(path); err != nil {
		return nil, err
	}
	return c.receive()
}

// crowd is clients that ask, half of them on a new connection each time.
type crowd struct {
	addr, path             string
	sent, answered, failed atomic.Int64
	first                  atomic.Value // error
	clients                sync.WaitGroup
	enough                 chan struct{}
}

func crowdAt(addr string, clients int) *crowd { return crowdAsking(addr, "/", clients) }

func crowdAsking(addr, path string, clients int) *crowd {
	l := &crowd{addr: addr, path: path, enough: make(chan struct{})}
	for i := range clients {
		l.clients.Go(func() {
			for !isClosed(l.enough) {
				l.converse(i%2 == 0)
			}
		})
	}
	return l
}

// converse uses one connection, once or until the server says that it closes it.
func (l *crowd) converse(once bool) {
	var c *conn
	for !isClosed(l.enough) {
		l.sent.Add(1)
		var err error
		if c == nil {
			c, err = dialConn(l.addr)
		}
		var resp *http.Response
		if err == nil {
			defer c.Close()
			resp, err = c.ask(l.path)
		}
		if err != nil {
			l.failed.Add(1)
			l.first.CompareAndSwap(nil, fmt.Errorf("%w", err))
			return
		}
		l.answered.Add(1)
		if once || resp.Close {
			return
		}
	}
}

// stop returns when each request has ended, and accounts for them.
func (l *crowd) stop(t *testing.T) {
	t.Helper()
	close(l.enough)
	l.clients.Wait()
	sent, answered, failed := l.sent.Load(), l.answered.Load(), l.failed.Load()
	t.Logf("%d sent, %d answered, %d lost", sent, answered, failed)
	if failed != 0 || sent != answered || sent == 0 {
		t.Errorf("%d sent, %d answered, %d lost: %v", sent, answered, failed, l.first.Load())
	}
}

// buildServer builds the server as a release, and returns it.
func buildServer(t *testing.T, release string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "server")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+release, "-o", file, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}
