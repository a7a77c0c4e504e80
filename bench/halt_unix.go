//go:build unix

package main

import (
	"os"
	"syscall"
)

// halt takes a process all CPU time, and wake gives it back.
func halt(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
func wake(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
