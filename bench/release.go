package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// exitBound is longer than a server's default DrainTimeout of 30 s, so that one
// which cuts at its deadline is reported and not killed.
const exitBound = 45 * time.Second

var errInterrupted = errors.New("interrupted; everything that was started has been stopped")

// release is one release of the server, as a process.
type release struct {
	*process
	term time.Duration // when it was sent SIGTERM, or SIGKILL
	cpu  time.Duration // what it had spent on the CPU by then
}

// awaitReady polls until this release itself answers that it is ready, which each time
// whichever release says that the kernel picks; or until the load has an answer of it.
func (r *release) awaitReady(ctx context.Context, p *prober, saw func(release string) bool) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(20 * time.Second)
	for asked := p.ask(r.name); ; {
		select {
		case ready := <-asked:
			if ready {
				return nil
			}
			time.Sleep(10 * time.Millisecond)
			asked = p.ask(r.name)
		case <-poll.C:
			if saw(r.name) {
				return nil
			}
		case <-ctx.Done():
			return errInterrupted
		case <-deadline:
			return fmt.Errorf("wait for %s to answer: it does not, its log ends with\n%s", r.name, r.LastWords())
		case <-r.Exited:
			return fmt.Errorf("wait for %s to answer: %v, its log ends with\n%s", r.name, r.Cmd.ProcessState, r.LastWords())
		}
	}
}

// signals are those of --signal.
var signals = map[string]syscall.Signal{"TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}

// retire sends SIGTERM, as an operator does, or SIGKILL, as nobody should.
func (r *release) retire(signal string) error {
	r.cpu, r.term = cpuTime(r.Cmd.Process.Pid), r.clock.now()
	if err := r.Cmd.Process.Signal(signals[signal]); err != nil {
		return fmt.Errorf("send SIG%s to %s: %w; its log ends with\n%s", signal, r.name, err, r.LastWords())
	}
	return nil
}

func (r *release) awaitExit(ctx context.Context) error {
	select {
	case <-r.Exited:
		return nil
	case <-ctx.Done():
		return errInterrupted
	case <-time.After(exitBound):
		return fmt.Errorf("wait for the exit of %s: still there after %v, its log ends with\n%s", r.name, exitBound, r.LastWords())
	}
}
