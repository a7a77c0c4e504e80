// Package holder finds out which process holds a socket, as far as /proc shows it: the
// links in /proc/PID/fd, proc(5). Of processes that we may not look into, or that are in
// another PID namespace, nothing is seen; on systems other than Linux, of none.
package holder

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ba995850/overlap/internal/printable"
)

// Process is who holds a socket. The zero value is one that cannot be seen.
type Process struct {
	PID     int
	Program string // as /proc/PID/comm has it, printable: up to 15 bytes, which the process chooses
}

func (p Process) String() string {
	if p == (Process{}) {
		return "a process that cannot be seen from here"
	}
	return fmt.Sprintf("pid %d (%s)", p.PID, p.Program)
}

// Of returns who holds each of these sockets, by inode. Of several, as after a fork, it is
// the one with the lowest number. It looks at all processes, once.
func Of(inodes ...uint64) map[uint64]Process {
	found := make(map[uint64]Process, len(inodes))
	if len(inodes) == 0 {
		return found
	}
	procs, _ := os.ReadDir("/proc")
	for _, dir := range procs {
		pid, err := strconv.Atoi(dir.Name())
		if err != nil {
			continue
		}
		held := socketsIn("/proc/" + dir.Name() + "/fd")
		for _, inode := range inodes {
			if before, seen := found[inode]; held[inode] && (!seen || pid < before.PID) {
				found[inode] = Process{PID: pid, Program: programOf(dir.Name())}
			}
		}
	}
	return found
}

func programOf(pid string) string {
	comm, _ := os.ReadFile("/proc/" + pid + "/comm")
	return cmp.Or(printable.Of(strings.TrimSpace(string(comm))), "?")
}

func socketsIn(dir string) map[uint64]bool {
	links, _ := os.ReadDir(dir)
	held := make(map[uint64]bool, len(links))
	for _, link := range links {
		what, _ := os.Readlink(dir + "/" + link.Name())
		text, isSocket := strings.CutPrefix(what, "socket:[")
		if inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64); isSocket && err == nil {
			held[inode] = true
		}
	}
	return held
}
