// Package recipe runs the recipes of deploy for real, as an operator does: with the files of
// a recipe at the paths that its README names, with the real supervisor, under the load of
// the project's bench.
//
// All of it happens in a machine within the machine: a root directory whose changes are in
// memory, and a network, processes, mounts and a host name of its own. So a recipe may
// install packages and write to /etc, ports are free, and all processes end with the test.
// When it has ended, the machine is looked at: it must be as it was before.
package recipe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Where the programs are in a sealed machine.
const (
	Server = "/usr/local/bin/server"
	bench  = "/usr/local/bin/bench"
)

// sealedName begins the name of what a sealed machine has outside: a directory, and control
// groups.
const sealedName = "overlap-recipe-"

// roleEnv tells a process of the test binary that it is not the one that go test started.
const (
	roleEnv  = "OVERLAP_RECIPE_ROLE"
	roleInit = "init" // process 1 of the sealed machine
	roleTest = "test" // its child, which runs the tests
)

// Main runs the tests of a package in a sealed machine, and returns their exit code. It
// needs root, since a supervisor does; users call it in TestMain.
func Main(m *testing.M) int {
	code, err := play(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "recipe:", err)
		return max(code, 1)
	}
	return code
}

func play(m *testing.M) (code int, err error) {
	switch os.Getenv(roleEnv) {
	case roleTest:
		return m.Run(), nil
	case roleInit:
		return boot()
	case roleSystemd:
		return 1, becomeSystemd()
	}
	if os.Geteuid() != 0 {
		return 1, errors.New("recipes are run in namespaces of their own, with real supervisors: run this as root")
	}
	return outside()
}

// outside builds the programs, runs the sealed machine, and looks whether it held.
func outside() (int, error) {
	dir, err := os.MkdirTemp("", sealedName)
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return 1, err
	}
	unmark, err := mark()
	defer unmark()
	if err != nil {
		return 1, err
	}
	before, err := look()
	if err != nil {
		return 1, err
	}
	before.forgetTheNew()
	code, err := run(dir)
	if err := errors.Join(err, removeControlGroups(filepath.Base(dir))); err != nil {
		return code, err
	}
	after, err := look()
	if err != nil {
		return 1, err
	}
	return code, before.same(after)
}

// build makes what a user makes, without cgo, so that it runs in an empty container too. What
// it compiles with these flags deb/build.sh finds in Go's cache.
func build(dir string) error {
	root, err := repository()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir, "./cmd/server", "./bench")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return nil
}

// repository returns the directory above that of this module.
func repository() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(filepath.Dir(strings.TrimSpace(string(out)))), nil
}

// run starts process 1 of a sealed machine, and waits for its end. With it, all that is in
// there ends; also at Ctrl-C.
func run(dir string) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE)
	defer stop()
	root, err := repository()
	if err != nil {
		return 1, err
	}
	// Pdeathsig is about the end of the thread that has started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", arguments()...)
	cmd.Env = append(os.Environ(), roleEnv+"="+roleInit, dirEnv+"="+dir, rootEnv+"="+root)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Run()
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		return max(ended.ExitCode(), 1), nil
	}
	return 0, err
}

// arguments are ours, but for the file in which a test names what it has read: nobody
// outside could read that of the sealed machine.
func arguments() []string {
	return slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool {
		return strings.HasPrefix(arg, "-test.testlogfile")
	})
}
