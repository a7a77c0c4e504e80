//go:build unix

package overlap

import "syscall"

const cutSignal = syscall.SIGUSR2
