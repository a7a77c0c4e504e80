package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/ba995850/overlap/bench/internal/group"
)

// killBound is for a process that a broken-off run leaves behind.
const killBound = 5 * time.Second

// process is a program that the bench has started: a release, or a proxy.
type process struct {
	name  string
	log   string // its file
	cmd   *exec.Cmd
	clock clock

	began  time.Duration // when it was started
	exit   time.Duration // when it had exited: to be read after exited is closed
	exited chan struct{} // closed by reap
}

// startProcess starts a program, by start, which is usually (*exec.Cmd).Start. It has to
// be waited for: see stop.
func startProcess(name, program, log string, args []string, clock clock, start func(*exec.Cmd) error) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer file.Close() // the process has its own
	p := &process{name: name, log: log, clock: clock, exited: make(chan struct{})}
	p.cmd = exec.Command(program, args...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	group.Lead(p.cmd)
	p.began = clock.now()
	if err := start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.reap()
	return p, nil
}

// reap waits for the process, so that its exit has a time even when nobody
// looks. It ends with the process; who starts one waits for exited.
func (p *process) reap() {
	_ = p.cmd.Wait() // the exit code is in ProcessState
	p.exit = p.clock.now()
	close(p.exited)
}

// stop ends the process and what it has started, politely if it can, and returns when they have
// ended.
func (p *process) stop() {
	group.Stop(p.cmd.Process.Pid, killBound)
	<-p.exited
}

func (p *process) lastWords() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return "  " + strings.Join(tail(log, 8), "\n  ")
}
