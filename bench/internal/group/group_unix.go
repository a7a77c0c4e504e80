//go:build unix

// Package group is process groups: the programs that the bench starts, each with all that it
// starts in turn.
package group

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// Lead makes a command, which is not started yet, the leader of a group of its own: Ctrl-C is
// for us, who stop the others in order.
func Lead(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Kill ends all of a group. It may have ended.
func Kill(leader int) { _ = syscall.Kill(-leader, syscall.SIGKILL) }

// Stop asks all of a group to end, and ends them when they have not done so in time. The
// leader may have left long ago.
func Stop(leader int, bound time.Duration) {
	_ = syscall.Kill(-leader, syscall.SIGTERM)
	for began := time.Now(); alive(leader); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > bound {
			Kill(leader)
			return
		}
	}
}

func alive(leader int) bool { return !errors.Is(syscall.Kill(-leader, 0), syscall.ESRCH) }
