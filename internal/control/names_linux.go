package control

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// names returns those of all endpoints in this network namespace: abstract sockets that
// listen. proc(5), /proc/net/unix.
func names() ([]string, error) {
	file, err := os.Open("/proc/self/net/unix")
	if err != nil {
		return nil, fmt.Errorf("look for control endpoints: %w", err)
	}
	defer file.Close()
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, ok := nameIn(lines.Text()); ok {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), lines.Err()
}

// nameIn reads a line: Num RefCount Protocol Flags Type St Inode Path. Accepted
// connections have the name, too, and other flags than a listener.
func nameIn(line string) (name string, ok bool) {
	const accepts = "00010000" // __SO_ACCEPTCON
	fields := strings.Fields(line)
	if len(fields) != 8 || fields[3] != accepts {
		return "", false
	}
	return strings.CutPrefix(fields[7], "@"+prefix)
}
