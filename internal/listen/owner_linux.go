package listen

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode"
)

// owner has sockets open.
type owner struct {
	pid     int
	program string
}

func (o owner) String() string {
	if o.pid == 0 {
		return "a process that cannot be seen from here"
	}
	return fmt.Sprintf("pid %d (%s)", o.pid, o.program)
}

// ownersOf finds the processes of sockets, as far as we may see, in one walk.
func ownersOf(near []neighbour) map[uint64]owner {
	found := make(map[uint64]owner, len(near))
	if len(near) == 0 {
		return found
	}
	wanted := make(map[string]uint64, len(near))
	for _, n := range near {
		wanted["socket:["+strconv.FormatUint(n.inode, 10)+"]"] = n.inode
	}
	procs, _ := os.ReadDir("/proc")
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		for _, inode := range openIn("/proc/"+p.Name()+"/fd", wanted) {
			if _, known := found[inode]; !known { // a child may have inherited it
				found[inode] = owner{pid, programOf(p.Name())}
			}
		}
	}
	return found
}

// programOf is printable: anybody can name a process, and root may look.
func programOf(pid string) string {
	comm, _ := os.ReadFile("/proc/" + pid + "/comm")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, string(comm))
}

// openIn returns which of the sockets are open in a directory of descriptors.
func openIn(dir string, wanted map[string]uint64) (inodes []uint64) {
	fds, _ := os.ReadDir(dir)
	for _, fd := range fds {
		link, _ := os.Readlink(dir + "/" + fd.Name())
		if inode, is := wanted[link]; is {
			inodes = append(inodes, inode)
		}
	}
	return inodes
}
