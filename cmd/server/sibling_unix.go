//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// detach gives a command a session of its own.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// The leader of a session leads its first process group, too.
func (s *sibling) terminate() error { return syscall.Kill(-s.process.Pid, syscall.SIGTERM) }
func (s *sibling) kill() error      { return syscall.Kill(-s.process.Pid, syscall.SIGKILL) }
