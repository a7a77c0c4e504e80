//go:build !unix

package peer

import "syscall"

// Nobody can send them here: the error says so.
const (
	hangUp        = syscall.SIGHUP
	quit          = syscall.SIGQUIT
	terminate     = syscall.SIGTERM
	upgradeBinary = syscall.Signal(0x1f)
)
