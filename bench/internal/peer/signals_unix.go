//go:build unix

package peer

import "syscall"

const (
	hangUp        = syscall.SIGHUP
	quit          = syscall.SIGQUIT
	terminate     = syscall.SIGTERM
	upgradeBinary = syscall.SIGUSR2
)
