package main

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// Broken on purpose, and seen red: the executable is started, not the name, or in the
// directory that we are in; we retire at once; a second HUP starts another; who leaves does
// not wait for the end of its successor; one that is late is left; the addresses are not
// looked at; the supervisor is not seen; the terminal does not matter, or none is one that
// has gone; nohup does not matter; one that retires is succeeded; there is no new session.

func TestHUPStartsWhatIsInItsPlaceNow(t *testing.T) {
	t.Parallel()
	v1, v2 := buildServer(t, "v1"), buildServer(t, "v2")
	place := func(file, as string) {
		t.Helper()
		must(t, os.Link(file, as+".new"))
		must(t, os.Rename(as+".new", as))
	}
	t.Run("rebuilt", func(t *testing.T) {
		dir := t.TempDir()
		place(v1, filepath.Join(dir, "server"))
		cmd := exec.Command("./server", "serve")
		cmd.Dir = dir
		succeed(t, cmd, func() { place(v2, filepath.Join(dir, "server")) })
	})
	t.Run("looked up", func(t *testing.T) {
		dir := t.TempDir()
		place(v1, filepath.Join(dir, "server"))
		cmd := withEnv(exec.Command(filepath.Join(dir, "server"), "serve"), "PATH="+dir+":"+os.Getenv("PATH"))
		cmd.Args[0] = "server"
		succeed(t, cmd, func() { place(v2, filepath.Join(dir, "server")) })
	})
	t.Run("behind a link", func(t *testing.T) {
		current := filepath.Join(t.TempDir(), "current")
		must(t, os.Symlink(filepath.Dir(v1), current))
		succeed(t, exec.Command(filepath.Join(current, "server"), "serve"), func() { move(t, current, filepath.Dir(v2)) })
	})
	t.Run("in a directory behind a link", func(t *testing.T) {
		current := filepath.Join(t.TempDir(), "current")
		must(t, os.Symlink(filepath.Dir(v1), current))
		cmd := exec.Command("./server", "serve")
		cmd.Dir = current // which is PWD, as a shell would set it
		succeed(t, cmd, func() { move(t, current, filepath.Dir(v2)) })
	})
}

func move(t *testing.T, link, to string) {
	t.Helper()
	must(t, os.Symlink(to, link+".new"))
	must(t, os.Rename(link+".new", link))
}

// succeed is the story of kill -1: the slow request in flight ends with the old answer, the
// next one gets the new one.
func succeed(t *testing.T, first *exec.Cmd, upgrade func()) {
	t.Helper()
	first.Env = append(first.Environ(), "OVERLAP_LINGER_TIMEOUT=100ms")
	f := foundDynasty(t, first)
	slow := dialServer(t, f.addr)
	defer slow.Close()
	must(t, slow.send("/slow?for=1s"))
	f.answers(t, "v1")
	upgrade()
	next := f.hangUp(t, f.Process.Pid)
	f.await(t, "state", "to", "retiring")
	if resp, err := slow.receive(); err != nil || resp.Header.Get("Release") != "v1" {
		t.Errorf("the request in flight got %v, %v", resp, err)
	}
	f.answers(t, "v2")
	if verdict := f.await(t, "verdict", "release", "v1"); verdict["lossless"] != true || verdict["successor"] != true {
		t.Errorf("verdict %v", verdict)
	}
	if code := f.leaves(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if session, err := sessionOf(next); err != nil || session != next {
		t.Errorf("the successor is of session %d: %v", session, err)
	}
	must(t, syscall.Kill(next, syscall.SIGTERM))
	f.await(t, "verdict", "release", "v2")
}

func TestTenHangUpsUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	f := foundDynasty(t, self())
	load := crowdAt(f.addr, 8)
	pid, seen := f.Process.Pid, map[int]bool{}
	for range 10 {
		next := f.hangUp(t, pid)
		if verdict := f.await(t, "verdict", "pid", float64(pid)); verdict["lossless"] != true || verdict["successor"] != true {
			t.Errorf("verdict %v", verdict)
		}
		seen[pid], pid = true, next
	}
	load.stop(t)
	if len(seen) != 10 || seen[pid] {
		t.Errorf("%d has succeeded %v", pid, seen)
	}
	must(t, syscall.Kill(pid, syscall.SIGTERM))
	f.await(t, "verdict", "pid", float64(pid))
}

// replaced is a server that becomes another program when it is started again.
func replaced(t *testing.T, script string) *dynasty {
	t.Helper()
	current := filepath.Join(t.TempDir(), "server")
	must(t, os.Symlink(os.Args[0], current))
	f := foundDynasty(t, exec.Command(current, "serve", "--release", "v1", "--linger-timeout", "100ms"))
	next := current + ".new"
	must(t, os.WriteFile(next, []byte("#!/bin/sh\nSERVER='"+os.Args[0]+"'\n"+script), 0o700))
	must(t, os.Rename(next, current))
	return f
}

func TestASuccessorThatDoesNotServeChangesNothing(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"exit 7": "ended before it was ready: exit status 7",
		`"$SERVER" serve --release v2 --addr 192.0.2.1:80; exit 5`: "ended before it was ready: exit status 5",
		`exec "$SERVER" serve --release v2 --addr 127.0.0.1:0`:     "and not on 127.0.0.1:",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			f := replaced(t, script)
			must(t, f.Process.Signal(syscall.SIGHUP))
			line := f.await(t, "no successor", "level", "ERROR")
			contains(t, line["error"].(string), want)
			if line["pid"] != float64(f.Process.Pid) {
				t.Errorf("logged %v", line)
			}
			f.answers(t, "v1")
			must(t, f.Process.Signal(syscall.SIGTERM)) // which it would not get to see before the HUP
			f.await(t, "verdict", "release", "v1")
			for line := range f.lines { // until the last one has ended, too
				t.Log(line)
			}
		})
	}
}

// It serves a moment, on one of two addresses, and has taken requests by then.
func TestASuccessorThatIsNotWantedAnswersWhatItHasBegun(t *testing.T) {
	t.Parallel()
	one, two := freeAddr(t), freeAddr(t)
	current := filepath.Join(t.TempDir(), "server")
	must(t, os.Symlink(os.Args[0], current))
	f := foundDynasty(t, exec.Command(current, "serve", "--release", "v1", "--linger-timeout", "100ms", "--addr", one, "--addr", two))
	must(t, os.Remove(current))
	script := "#!/bin/sh\nexec '" + os.Args[0] + "' serve --release v2 --linger-timeout 100ms --addr " + one
	must(t, os.WriteFile(current, []byte(script), 0o700))
	load := crowdAsking(one, "/slow?for=100ms", 32)
	for range 3 {
		// The log may say that an attempt has failed a moment before that is over.
		for started := false; !started; {
			must(t, f.Process.Signal(syscall.SIGHUP))
			started = f.await(t, "signal", "signal", "HUP")["act"] == "start our successor"
		}
		contains(t, f.await(t, "no successor", "level", "ERROR")["error"].(string), "and not on "+two)
	}
	load.stop(t)
}

func TestAProgramThatIsNotThereAnyMoreIsNotStarted(t *testing.T) {
	t.Parallel()
	f := replaced(t, "")
	must(t, os.Remove(f.Path))
	must(t, f.Process.Signal(syscall.SIGHUP))
	contains(t, f.await(t, "no successor", "level", "ERROR")["error"].(string), "start the new release: ", "no such file")
	f.answers(t, "v1")
}

func TestASuccessorHasItsTimeToBecomeReady(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "alive")
	log := &lines{}
	s := &succession{inst: &told{}, log: log.logger(), within: 300 * time.Millisecond, command: func() *exec.Cmd {
		return exec.Command("sh", "-c", `echo $$ >"$0"; exec sleep 30`, file)
	}}
	s.begin()
	<-s.ended
	line := log.only(t)
	contains(t, line["error"].(string), "not ready in time", "it has opened no endpoint")
	pid, err := os.ReadFile(file)
	must(t, err)
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); err == nil {
		t.Error("it was not stopped")
	}
}

func TestOneSuccessorIsEnough(t *testing.T) {
	t.Parallel()
	f := replaced(t, `sleep 1; exec "$SERVER" "$@"`)
	must(t, f.Process.Signal(syscall.SIGHUP))
	f.await(t, "signal", "act", "start our successor")
	contains(t, f.refuses(t), "being started already")
	f.await(t, "successor", "pid", float64(f.Process.Pid))
	f.await(t, "verdict", "successor", true)
	if code := f.leaves(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestToldToLeaveItStopsItsSuccessor(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR2} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			f := replaced(t, `echo '{"msg":"begun"}' >&2; sleep 10; exec "$SERVER" "$@"`)
			must(t, f.Process.Signal(syscall.SIGHUP))
			f.await(t, "begun", "msg", "begun")
			must(t, f.Process.Signal(sig))
			contains(t, f.await(t, "no successor", "level", "ERROR")["error"].(string), "told to leave")
			f.leaves(t)
			began := time.Now()
			for line := range f.lines {
				t.Log(line)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the successor ended %v after us", took)
			}
		})
	}
}

func TestUnderASupervisorHUPChangesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cmd  *exec.Cmd
		want string
	}{
		"NOTIFY_SOCKET":      {withEnv(self(), "NOTIFY_SOCKET=@overlap-nobody-reads-this"), "a unit of its own"},
		"SYSTEMD_EXEC_PID":   {inShell(`SYSTEMD_EXEC_PID=$$ exec "$0" "$@"`), "a unit of its own"},
		"SUPERVISOR_ENABLED": {withEnv(self(), "SUPERVISOR_ENABLED=1"), "a program of its own"},
		"pid 1":              {contained(self()), "a container of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := foundDynasty(t, test.cmd)
			contains(t, f.refuses(t), test.want)
		})
	}
}

func withEnv(cmd *exec.Cmd, variable string) *exec.Cmd {
	cmd.Env = append(cmd.Environ(), variable)
	return cmd
}

func inShell(script string) *exec.Cmd {
	cmd := self()
	return exec.Command("sh", append([]string{"-c", script}, cmd.Args...)...)
}

// contained makes a command process 1 of a PID namespace.
func contained(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	}
	return cmd
}

func TestARetiringInstanceIsNotSucceeded(t *testing.T) {
	t.Parallel()
	f := foundDynasty(t, self())
	slow := dialServer(t, f.addr)
	defer slow.Close()
	must(t, slow.send("/slow?for=1s"))
	f.answers(t, "v1") // so it has the other one, too
	must(t, f.Process.Signal(syscall.SIGTERM))
	f.await(t, "state", "to", "retiring")
	must(t, f.Process.Signal(syscall.SIGHUP))
	contains(t, f.await(t, "signal", "act", "nothing")["why"].(string), "we are retiring")
	if _, err := slow.receive(); err != nil {
		t.Error(err)
	}
	f.leaves(t)
}

// inTerminal is a server whose controlling terminal can go.
func inTerminal(t *testing.T, cmd *exec.Cmd) (f *dynasty, terminal *os.File) {
	t.Helper()
	// Where the tests run under nohup, a process would inherit that HUP is ignored; what we
	// handle it does not inherit.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	terminal, tty, err := pty.Open()
	must(t, err)
	defer tty.Close()
	t.Cleanup(func() { terminal.Close() })
	cmd.Stdin, cmd.SysProcAttr = tty, &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return foundDynasty(t, cmd), terminal
}

func TestHUPOfATerminalThatHasGoneMeansTERM(t *testing.T) {
	t.Parallel()
	for name, cmd := range map[string]*exec.Cmd{
		"the leader of the session": self(),
		"a job of the shell":        inShell(`"$0" "$@"; exit $?`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, terminal := inTerminal(t, cmd)
			must(t, terminal.Close())
			line := f.await(t, "signal", "act", "retire")
			contains(t, line["why"].(string), "terminal has gone")
			f.await(t, "verdict", "release", "v1")
			for line := range f.lines {
				if line["msg"] == "successor" {
					t.Errorf("logged %v", line)
				}
			}
		})
	}
}

func TestUnderNohupATerminalMayGo(t *testing.T) {
	t.Parallel()
	f, terminal := inTerminal(t, inShell(`trap "" HUP; exec "$0" "$@"`))
	must(t, terminal.Close())
	contains(t, f.await(t, "signal", "act", "nothing")["why"].(string), "nohup")
	f.answers(t, "v1")
	f.hangUp(t, f.Process.Pid) // and this one is the operator's
	f.await(t, "verdict", "successor", true)
	f.leaves(t)
}

func TestHUPInATerminalIsTheOperators(t *testing.T) {
	t.Parallel()
	f, terminal := inTerminal(t, self())
	next := f.hangUp(t, f.Process.Pid)
	f.await(t, "verdict", "successor", true)
	f.leaves(t)
	must(t, terminal.Close())
	f.answers(t, "v1") // the successor is of no terminal
	last := f.hangUp(t, next)
	f.await(t, "verdict", "pid", float64(next))
	must(t, syscall.Kill(last, syscall.SIGTERM))
}
