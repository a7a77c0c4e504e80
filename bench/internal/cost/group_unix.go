//go:build unix

package cost

import (
	"os"
	"os/exec"
	"syscall"
)

// group makes a command the leader of a process group of its own: Ctrl-C is for us, and what it
// starts is ended with it.
func group(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// end ends a process and its group.
func end(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) } // it may have ended
