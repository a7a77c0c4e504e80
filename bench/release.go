package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// exitBound is longer than a server's default DrainTimeout of 30 s, so
	// that one which cuts at its deadline is reported and not killed.
	exitBound = 45 * time.Second
	killBound = 5 * time.Second // for a server that a broken-off run leaves behind
)

var errInterrupted = errors.New("interrupted; everything that was started has been stopped")

// release is one release of the server, as a process.
type release struct {
	name  string
	log   string // its file
	cmd   *exec.Cmd
	clock clock

	began  time.Duration // when it was started
	term   time.Duration // when it was sent SIGTERM
	exit   time.Duration // when it had exited: to be read after exited is closed
	exited chan struct{} // closed by reap
}

// startRelease starts the binary. The process has to be waited for: see stop.
func startRelease(name, binary, log string, args []string, clock clock) (*release, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer file.Close() // the process has its own
	r := &release{name: name, log: log, clock: clock, exited: make(chan struct{})}
	r.cmd = exec.Command(binary, args...)
	r.cmd.Stdout, r.cmd.Stderr = file, file
	detach(r.cmd)
	r.began = clock.now()
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go r.reap()
	return r, nil
}

// reap waits for the process, so that its exit has a time even when nobody
// looks. It ends with the process; who starts a release waits for exited.
func (r *release) reap() {
	_ = r.cmd.Wait() // the exit code is in ProcessState
	r.exit = r.clock.now()
	close(r.exited)
}

// awaitReady polls until this release itself answers that it is ready. Each
// answer comes from whichever release the kernel picks.
func (r *release) awaitReady(ctx context.Context, p *prober) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(20 * time.Second)
	for !p.ready(r.name) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return errInterrupted
		case <-deadline:
			return fmt.Errorf("wait for %s to answer: it does not, its log ends with\n%s", r.name, r.lastWords())
		case <-r.exited:
			return fmt.Errorf("wait for %s to answer: %v, its log ends with\n%s", r.name, r.cmd.ProcessState, r.lastWords())
		}
	}
	return nil
}

// retire sends SIGTERM, as an operator does.
func (r *release) retire() error {
	r.term = r.clock.now()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("send SIGTERM to %s: %w; its log ends with\n%s", r.name, err, r.lastWords())
	}
	return nil
}

func (r *release) awaitExit(ctx context.Context) error {
	select {
	case <-r.exited:
		return nil
	case <-ctx.Done():
		return errInterrupted
	case <-time.After(exitBound):
		return fmt.Errorf("wait for the exit of %s: still there after %v, its log ends with\n%s", r.name, exitBound, r.lastWords())
	}
}

// stop ends the process, politely if it can, and returns when it has ended.
func (r *release) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have exited, which is as good
	select {
	case <-r.exited:
	case <-time.After(killBound):
		_ = r.cmd.Process.Kill()
		<-r.exited
	}
}

func (r *release) lastWords() string {
	log, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return "  " + strings.Join(tail(log, 8), "\n  ")
}
