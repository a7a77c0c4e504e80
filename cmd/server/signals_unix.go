//go:build unix

package main

import "syscall"

const (
	usr1  = syscall.SIGUSR1
	usr2  = syscall.SIGUSR2
	winch = syscall.SIGWINCH
)
