//go:build !unix

package main

import "syscall"

// There are no such signals here: these are never sent.
const (
	usr1  = syscall.Signal(-1)
	usr2  = syscall.Signal(-2)
	winch = syscall.Signal(-3)
)
