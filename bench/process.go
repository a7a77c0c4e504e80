package main

import (
	"fmt"
	"os/exec"
	"time"

	"github.com/ba995850/overlap/bench/internal/group"
)

// killBound is for a process that a broken-off run leaves behind.
const killBound = 5 * time.Second

// process is a program that the bench has started: a release, or a proxy.
type process struct {
	*group.Program
	name  string
	clock clock
	began time.Duration // when it was started
}

// startProcess starts a program, by start, which is usually (*exec.Cmd).Start. It has to
// be stopped.
func startProcess(name, program, log string, args []string, clock clock, start func(*exec.Cmd) error) (*process, error) {
	p := &process{name: name, clock: clock, began: clock.now()}
	var err error
	if p.Program, err = group.Start(exec.Command(program, args...), log, start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// exit is when it had exited: to be asked after that.
func (p *process) exit() time.Duration { return p.Ended().Sub(p.clock.start) }

func (p *process) stop() { p.Stop(killBound) }
