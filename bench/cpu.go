package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of /proc/PID/stat: sysconf(_SC_CLK_TCK), which is 100 on
// every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuTime returns what a running process has spent on the CPU, or 0 where the
// system does not say.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is the program's name, in parentheses, with whatever in it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const user, system = 14 - 3, 15 - 3 // as proc(5) counts, from the third field on
	if len(fields) <= system {
		return 0
	}
	u, _ := strconv.Atoi(string(fields[user])) // they are numbers
	s, _ := strconv.Atoi(string(fields[system]))
	return time.Duration(u+s) * clockTick
}
