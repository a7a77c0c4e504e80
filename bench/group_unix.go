//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// detach keeps the terminal's Ctrl-C from the servers: it is for the bench,
// which then stops them in order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
