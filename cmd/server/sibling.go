package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
)

const (
	// lookEvery is how often we look whether a sibling is ready.
	lookEvery = 20 * time.Millisecond
	// killAfter is how long a sibling that serves nobody may take to leave.
	killAfter = 5 * time.Second
)

// sibling is a process that we have started to become an instance beside the running ones.
// It is the leader of a session of its own: it outlives us and our terminal, and its
// instance is found also where the command is a script around the server.
type sibling struct {
	process *os.Process
	ended   chan struct{} // closed when the process that we have started has ended
	how     error         // it ended; nil is exit code 0
}

// startSibling starts a command. It reads nothing; where its output goes, its caller says.
func startSibling(cmd *exec.Cmd) (*sibling, error) {
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the new release: %w", err)
	}
	s := &sibling{process: cmd.Process, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.how = cmd.Wait()
	}()
	return s, nil
}

// owns says whether an instance runs in the sibling's session. Its number says so where it
// is a number here.
func (s *sibling) owns(f control.Found) bool {
	if !f.Here || f.PID == s.process.Pid {
		return f.Here
	}
	session, err := sessionOf(f.PID)
	return err == nil && session == s.process.Pid
}

// sessionOf reads /proc/PID/stat; proc(5). The name of the program, in parentheses, may have
// anything in it.
func sessionOf(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const session = 3 // behind state, ppid and pgrp
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= session {
		return 0, fmt.Errorf("/proc/%d/stat is too short", pid)
	}
	return strconv.Atoi(fields[session])
}

// awaitServing returns the instance that is meant once it serves. An error says how far it
// was. A sibling that only asks somebody else to start the instance, as systemctl does, may
// end with exit code 0 before.
func (s *sibling) awaitServing(ctx context.Context, meant func(control.Found) bool, mayEnd bool) (is control.Found, err error) {
	for ended := s.ended; ; {
		// Not in ctx: how far it was when that ended is what is to be said.
		if is, err = findOne(context.WithoutCancel(ctx), meant); err != nil {
			return is, err
		}
		switch {
		case is.Err != nil:
		case is.State == overlap.StateServing.String():
			return is, nil
		case is.State == overlap.StateDark.String():
			return is, fmt.Errorf("%s is dark, and does not serve by itself: leave out --dark", nameOf(is))
		}
		select {
		case <-ended:
			if !mayEnd || s.how != nil {
				return is, s.failure("before it was ready")
			}
			ended = nil
		case <-ctx.Done():
			return is, fmt.Errorf("the new release is not ready in time: %s", notReady(is))
		case <-time.After(lookEvery):
		}
	}
}

// failure says that the sibling has ended, which nobody wanted.
func (s *sibling) failure(when string) error {
	if s.how == nil {
		return fmt.Errorf("the new release ended %s, with exit code 0", when)
	}
	return fmt.Errorf("the new release ended %s: %w", when, s.how)
}

// findOne returns the newest instance that is meant, or none.
func findOne(ctx context.Context, meant func(control.Found) bool) (is control.Found, err error) {
	all, err := control.Find(ctx, askTimeout)
	for _, f := range all {
		if meant(f) {
			is = f
		}
	}
	return is, err
}

// notReady says how far an instance is.
func notReady(f control.Found) string {
	switch {
	case f.Instance == "":
		return "it has opened no endpoint (has it overlap in it? if the command only has it started elsewhere, does --release say what it calls itself?)"
	case f.Err != nil:
		return f.Err.Error()
	}
	return nameOf(f) + " is " + f.State
}

// dismiss ends a sibling that is not wanted. An instance that serves answers what it has
// begun, and leaves as it is ordered to; one that does not yet is only told, for it may never.
func (s *sibling) dismiss(is control.Found, how order, hear func(control.Event)) error {
	var err error
	switch {
	case is.Instance == "":
	case isReady(is):
		var verdict overlap.Verdict
		if verdict, err = retire(context.Background(), is, how, hear); err == nil && !verdict.Lossless {
			err = errors.New(describe(verdict))
		}
	default:
		_, err = inTime(context.Background(), control.Retire, is)
	}
	switch {
	case errors.Is(err, errStays):
		return fmt.Errorf("%s stays, for nobody took over: %w", nameOf(is), err)
	case errors.Is(err, syscall.ECONNREFUSED): // it has gone by itself
		err = nil
	case err != nil:
		err = fmt.Errorf("%s: %w", nameOf(is), err)
	}
	return errors.Join(err, s.stop())
}

// stop ends a sibling that serves nobody, and what it has started. It signals only while
// some of that is there: the number of a group that has gone may be another one's.
func (s *sibling) stop() error {
	ctx, stop := context.WithTimeout(context.Background(), killAfter)
	defer stop()
	for told := false; ; time.Sleep(lookEvery) {
		is, err := findOne(ctx, s.owns)
		switch {
		case ctx.Err() != nil:
			return errors.Join(fmt.Errorf("the new release did not leave within %v, and was killed", killAfter), s.kill())
		case err != nil:
			return err
		case is.Instance == "" && isClosed(s.ended):
			return nil
		case !told:
			told = true
			if err := s.terminate(); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
