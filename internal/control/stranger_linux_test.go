// Broken on purpose, and seen red, each by TestWhoIsAStranger: an instance of another user
// names sockets; a process in another PID namespace has the number that it says; nobody is
// in doubt; everybody is, where one endpoint is not seen; what a program is called is not
// cleaned. By TestAnEndpointThatNobodyCanAskHidesNoStranger: everybody is in doubt.

package control

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// listening opens a listener and returns its inode.
func listening(t *testing.T) uint64 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	file, err := ln.(*net.TCPListener).File()
	must(t, err)
	defer file.Close()
	var st syscall.Stat_t
	must(t, syscall.Fstat(int(file.Fd()), &st))
	return st.Ino
}

func TestWhoIsAStranger(t *testing.T) {
	me, socket := os.Getpid(), listening(t)
	silent := errors.New("silent")
	for name, test := range map[string]struct {
		found    Found
		stranger bool
	}{
		"nobody's":                         {Found{Status: Status{UID: 1}}, true},
		"named":                            {Found{Status: Status{UID: 1, Sockets: []uint64{socket}}}, false},
		"named by another user":            {Found{Status: Status{UID: 2, Sockets: []uint64{socket}}}, true},
		"of an instance's process":         {Found{Status: Status{UID: 1, PID: me}, Here: true}, false},
		"of another process":               {Found{Status: Status{UID: 1, PID: me + 1}, Here: true}, true},
		"of another user's process":        {Found{Status: Status{UID: 2, PID: me}, Here: true}, true},
		"of one that says it has our pid":  {Found{Status: Status{UID: 1, PID: me}}, true},
		"of one that is silent":            {Found{Status: Status{UID: 1, PID: me}, Here: true, Err: silent}, false},
		"of somebody, and one is silent":   {Found{Status: Status{UID: 1, PID: me + 1}, Here: true, Err: silent}, true},
		"of somebody, and one is not seen": {Found{Err: silent}, true},
	} {
		got := Strangers([]Found{test.found}, 1, []uint64{socket})
		if (len(got) == 1) != test.stranger {
			t.Errorf("%s: %v", name, got)
		}
		if len(got) == 1 && (got[0].Socket != socket || got[0].PID != me || got[0].Program == "") {
			t.Errorf("%s: %+v", name, got[0])
		}
	}
}

// unheld is the inode of no socket.
const unheld = 1

func TestWhoCannotBeSeenIsInDoubtWhereAnEndpointIs(t *testing.T) {
	for name, test := range map[string]struct {
		found    []Found
		stranger bool
	}{
		"nobody is silent":                 {nil, true},
		"one is, whose process is seen":    {[]Found{{Status: Status{UID: 1, PID: 7}, Here: true, Err: io.EOF}}, true},
		"one is, whose process is not":     {[]Found{{Err: io.EOF}}, false},
		"one of another container answers": {[]Found{{Status: Status{UID: 1, PID: 7}}}, true},
	} {
		if got := Strangers(test.found, 1, []uint64{unheld}); (len(got) == 1) != test.stranger {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// full opens an endpoint that nobody can connect to any more.
func full(t *testing.T, name string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	must(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: "@" + prefix + name}))
	must(t, syscall.Listen(fd, 0))
	for {
		c, err := net.Dial("unix", "@"+prefix+name)
		if errors.Is(err, syscall.EAGAIN) {
			return
		}
		must(t, err)
		t.Cleanup(func() { c.Close() })
	}
}

// Any user can have one.
func TestAnEndpointThatNobodyCanAskHidesNoStranger(t *testing.T) {
	const name = "EVIL"
	full(t, name)
	f := found(t, name)
	if f == nil || f.Err == nil || f.PID != 0 {
		t.Fatalf("found %+v", f)
	}
	if got := Strangers([]Found{*f}, os.Geteuid(), []uint64{listening(t)}); len(got) != 1 || got[0].PID != os.Getpid() {
		t.Errorf("it hides %+v", got)
	}
}

// A process chooses what it is called.
func TestTheNameOfAStrangerDoesNothingToATerminal(t *testing.T) {
	before, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	must(t, os.WriteFile("/proc/self/comm", []byte("a\x1b[2J"), 0))
	defer os.WriteFile("/proc/self/comm", before, 0)
	if got := Strangers(nil, 1, []uint64{listening(t)}); len(got) != 1 || got[0].Program != "a\ufffd[2J" {
		t.Errorf("it is called %+v", got)
	}
}
