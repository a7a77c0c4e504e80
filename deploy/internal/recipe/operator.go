package recipe

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// needEnv makes a missing program a failure, as in the tests of the other packages.
const needEnv = "OVERLAP_NEED_TOOLS"

// Need skips a test without a program, and says which package of Debian's has it. Where
// OVERLAP_NEED_TOOLS is set that is a failure.
func Need(t testing.TB, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv(needEnv) != "" {
		t.Fatalf("%s is missing: apt-get install %s", program, pkg)
	}
	t.Skipf("%s is missing: apt-get install %s", program, pkg)
}

// Run runs a command as an operator does, and returns what it has printed. The test fails
// if it does.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	start := time.Now()
	out, err := command(name, args...).CombinedOutput()
	t.Logf("$ %s %s  (%.2fs)\n%s", name, strings.Join(args, " "), time.Since(start).Seconds(), out)
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

// Fails runs a command that has to fail, and returns what it has printed.
func Fails(t testing.TB, name string, args ...string) string {
	t.Helper()
	start := time.Now()
	out, err := command(name, args...).CombinedOutput()
	t.Logf("$ %s %s  (%.2fs, %v)\n%s", name, strings.Join(args, " "), time.Since(start).Seconds(), err, out)
	if _, ended := err.(*exec.ExitError); !ended {
		t.Fatalf("%s %s: %v, and should have failed", name, strings.Join(args, " "), err)
	}
	return string(out)
}

// Refuses runs commands that have to fail, and to say why.
func Refuses(t testing.TB, commands, why string) {
	t.Helper()
	if out := Fails(t, "sh", "-c", commands); !strings.Contains(out, why) {
		t.Errorf("%s does not say %q", commands, why)
	}
}

// Eventually waits until something is so.
func Eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not after 30 s: %s", what)
		}
	}
}

// Serving says whether an instance of a release is in the rotation.
func Serving(release string) bool {
	return exec.Command(Server, "probe", "--release", release).Run() == nil
}

// BrokenReleases are programs that take over from nobody.
func BrokenReleases() map[string]string {
	return map[string]string{
		"ends":          "#!/bin/sh\necho no such database; exit 1\n",
		"hangs":         "#!/bin/sh\nexec sleep 600\n",
		"misconfigured": "#!/bin/sh\nOVERLAP_DRAIN_TIMEOUT=soon exec " + Server + ` "$@"` + "\n",
	}
}

// Copy puts a file of a recipe where its README says.
func Copy(t testing.TB, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	Write(t, to, string(content), info.Mode().Perm())
}

// Write makes a file, and the directories above it.
func Write(t testing.TB, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever umask(2) is
		t.Fatal(err)
	}
}

// Processes returns the processes in whose command line this is, but the test itself.
func Processes(t testing.TB, part string) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, dir := range dirs {
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid != os.Getpid() && pid != os.Getppid() && strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), part) {
			found = append(found, pid)
		}
	}
	return found
}

// Kill ends the processes in whose command line this is, as a power cut does.
func Kill(t testing.TB, part string) {
	t.Helper()
	Eventually(t, part+" is gone", func() bool {
		left := Processes(t, part)
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	})
}

// KillAfter ends the processes in whose command line this is, once, as soon as another
// process has ended.
func KillAfter(t testing.TB, pid int, part string) {
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for syscall.Kill(pid, 0) == nil && t.Context().Err() == nil {
			runtime.Gosched()
		}
		for _, pid := range Processes(t, part) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
}
