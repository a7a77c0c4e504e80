package group

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Program is one that was started, the leader of a group. It has to be stopped.
type Program struct {
	Cmd    *exec.Cmd
	Log    string        // the file that has its output
	Exited chan struct{} // closed when it has exited, and Cmd.ProcessState says how
	ended  time.Time
}

// Start starts a program, by start, which is usually (*exec.Cmd).Start. Its output is added to
// the log.
func Start(cmd *exec.Cmd, log string, start func(*exec.Cmd) error) (*Program, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the program has its own
	cmd.Stdout, cmd.Stderr = file, file
	Lead(cmd)
	if err := start(cmd); err != nil {
		return nil, err
	}
	p := &Program{Cmd: cmd, Log: log, Exited: make(chan struct{})}
	go p.reap()
	return p, nil
}

// reap waits for the program, so that its exit has a time even when nobody looks. It ends with
// it; who starts one waits for Exited.
func (p *Program) reap() {
	_ = p.Cmd.Wait() // how it went is in ProcessState
	p.ended = time.Now()
	close(p.Exited)
}

// Ended is when it had exited: to be asked after Exited is closed.
func (p *Program) Ended() time.Time { return p.ended }

// Stop ends the program and all that it has started, politely if that does not take longer than
// bound, and returns when it has exited.
func (p *Program) Stop(bound time.Duration) {
	Stop(p.Cmd.Process.Pid, bound)
	<-p.Exited
}

// LastWords are the last lines of its log, for an error.
func (p *Program) LastWords() string { return LastWords(p.Log) }

// LastWords are the last lines of a log, indented.
func LastWords(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return "  " + strings.Join(LastLines(text, 8), "\n  ")
}

// LastLines are the last n lines of a text, or fewer.
func LastLines(text []byte, n int) (last []string) {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	for _, line := range lines[max(0, len(lines)-n):] {
		last = append(last, string(bytes.TrimSpace(line)))
	}
	return last
}
