package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red: status does not look for strangers;
// each socket is a row of its own; --allow-strangers does nothing.

// beStranger makes this process listen on an address, on two sockets beside others, and be
// no instance. It returns how it is shown.
func beStranger(t *testing.T, addr string) (pid int, program, at string) {
	t.Helper()
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		const soReuseport = 0xf
		err2 := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReuseport, 1) })
		return errors.Join(err, err2)
	}}
	share.SetMultipathTCP(false)
	for range 2 {
		ln, err := share.Listen(t.Context(), "tcp", addr)
		must(t, err)
		t.Cleanup(func() { ln.Close() })
		addr = ln.Addr().String()
	}
	comm, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	return os.Getpid(), strings.TrimSpace(string(comm)), addr
}

func TestStatusShowsStrangers(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "beside")
	addr := p.await(t, "state", "serving")["addr"].(string)
	pid, program, _ := beStranger(t, addr)
	shown := call(nil, "status").stdout
	var rows []string
	for line := range strings.Lines(shown) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == fmt.Sprint(pid) && fields[len(fields)-1] == addr {
			rows = append(rows, strings.Join(fields, " "))
		}
	}
	if want := fmt.Sprintf("? %d stranger: %s %s", pid, program, addr); len(rows) != 1 || rows[0] != want {
		t.Errorf("the stranger is %q, want once %q", rows, want)
	}
	all := objects(t)
	if !slices.ContainsFunc(all, func(is map[string]any) bool {
		return is["state"] == "stranger" && is["pid"] == float64(pid) && is["program"] == program && is["addr"] == addr
	}) {
		t.Errorf("as JSON it is not in %v", all)
	}
	if got := call(nil, "retire", "--pid", fmt.Sprint(pid)); got.code != exitFailed || !strings.Contains(got.stderr, "no instance with pid") {
		t.Errorf("it can be told to retire: %+v", got)
	}
}

// Each is one row, whatever it listens with; 0 is nobody.
func TestWhoIsNamedByNobodyIsAStranger(t *testing.T) {
	beside := control.Found{Status: control.Status{UID: 1, Ports: []control.Port{{Addr: "a:1", Members: []uint64{0, 1, 2}}}}}
	if got := strangersBeside([]control.Found{beside}); len(got) != 1 || got[0].State != stateStranger || got[0].Addr != "a:1" {
		t.Errorf("strangers: %+v", got)
	}
	named := control.Found{Status: control.Status{UID: 1, Sockets: []uint64{1, 2}}}
	if got := strangersBeside([]control.Found{beside, named}); len(got) > 0 {
		t.Errorf("strangers: %+v", got)
	}
}

func TestServeRefusesAPortOfAStranger(t *testing.T) {
	t.Parallel()
	pid, program, addr := beStranger(t, "127.0.0.1:0")
	refused := start(t, "--addr", addr, "--release", "refused")
	text, _ := refused.await(t, "serve", "")["error"].(string)
	for _, want := range []string{addr, fmt.Sprintf("pid %d (%s)", pid, program), "--allow-strangers"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	if code := refused.exit(t); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	start(t, "--addr", addr, "--release", "bold", "--allow-strangers").await(t, "state", "serving")
}
