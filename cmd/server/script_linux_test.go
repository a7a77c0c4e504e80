package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/ba995850/overlap/internal/control"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// updateEnv makes the scripts write what they saw into their golden files.
const updateEnv = "OVERLAP_UPDATE"

// /proc/self/net is that of the main thread, so no script may run on it and give it another.
func init() { runtime.LockOSThread() }

// The verbs as a user types them: each script of testdata/script has real processes, and a
// network of its own, so that nobody else's instances are in it.
//
// Broken on purpose, and seen red by doctor, probe and config: a bad configuration is another
// exit code; a dark instance is ready; whether strangers are allowed is not asked, or always
// so, where scrapes are answered.
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		asRoot(t)
		return
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv(updateEnv) != "",
		Setup:               ownNetwork,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"await": await, "exits": endsWith},
	})
}

// asRoot runs the calling test again, as root of a user namespace of its own.
func asRoot(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in a user namespace: %v\n%s", err, out)
	}
}

// ownNetwork gives a script a network namespace. The thread of a script is locked and never
// given back, so that it and what it starts are in there, and nobody else is.
func ownNetwork(env *testscript.Env) error {
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	env.Defer(killLeft)
	env.Setenv("OVERLAP_LOG_LEVEL", "error")
	env.Setenv("OVERLAP_ACCESS_LOG", "false")
	env.Setenv("OVERLAP_LINGER_TIMEOUT", "300ms")
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	return loopbackUp()
}

// killLeft ends what a script that fails has left: an upgrade starts what outlives it. It asks
// by a process, which is where the script is; our own goroutines are not.
func killLeft() {
	self, _ := os.Executable()
	cmd := exec.Command(self, "status", "--json")
	cmd.Env = append(os.Environ(), asServer+"=1")
	out, _ := cmd.Output() // nobody is there, most of the time
	var all []control.Status
	_ = json.Unmarshal(out, &all)
	for _, is := range all {
		syscall.Kill(is.PID, syscall.SIGKILL)
	}
}

// loopbackUp does what "ip link set lo up" does; netdevice(7).
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	lo := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [syscall.IFNAMSIZ]byte{'l', 'o'}, flags: syscall.IFF_UP}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&lo))); errno != 0 {
		return os.NewSyscallError("ioctl SIOCSIFFLAGS", errno)
	}
	return nil
}

// await runs a command again and again until it succeeds, or, with "!", fails.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: [!] await program [args...]")
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := ts.Exec(args[0], args[1:]...); (err == nil) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not after 10 s: %s", strings.Join(args, " "))
		}
	}
}

// endsWith runs a command that has to end with an exit code.
func endsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	code, err := 0, ts.Exec(args[1], args[2:]...)
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		code = ended.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s: %s", code, args[0], strings.Join(args[1:], " "))
	}
}

func TestTheHelpOfEveryVerbIsHeldToItsWords(t *testing.T) {
	script, err := os.ReadFile("testdata/script/help.txtar")
	must(t, err)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() != "help" && !strings.Contains(string(script), "exec "+cmd.CommandPath()+" --help\n") {
			t.Errorf("testdata/script/help.txtar has not %q", cmd.CommandPath())
		}
		for _, verb := range cmd.Commands() {
			walk(verb)
		}
	}
	walk(newRoot(env{getenv: vars{}.get}))
}
