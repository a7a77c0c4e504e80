//go:build !unix

// Package group is process groups, of which there are none here: only their leaders.
package group

import (
	"os"
	"os/exec"
	"time"
)

// Lead does nothing.
func Lead(*exec.Cmd) {}

// Kill ends a process.
func Kill(leader int) {
	if p, err := os.FindProcess(leader); err == nil {
		_ = p.Kill()
	}
}

// Stop does the same.
func Stop(leader int, _ time.Duration) { Kill(leader) }
