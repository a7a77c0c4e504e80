package main

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// thisMachine says what a run is made on. Outside Linux, and outside a checkout, it
// knows less.
func thisMachine() evidence.Machine {
	return evidence.Machine{
		Kernel: firstLine("/proc/sys/kernel/osrelease"),
		CPU:    fieldOf("/proc/cpuinfo", "model name"),
		CPUs:   runtime.NumCPU(),
		Memory: memory(fieldOf("/proc/meminfo", "MemTotal")),
		OS:     runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(),
		Commit: commit(),
	}
}

func firstLine(file string) string {
	text, _ := os.ReadFile(file) // else it is not known
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// fieldOf returns the first value of a name in a file of /proc.
func fieldOf(file, name string) string {
	text, _ := os.ReadFile(file) // else it is not known
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(string(line), ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// memory reads what /proc/meminfo says in kB.
func memory(text string) int64 {
	kB, _ := strconv.ParseInt(strings.TrimSuffix(text, " kB"), 10, 64) // 0: not known
	return kB << 10
}

// commit is that of the checkout, which the server is built from, too.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
