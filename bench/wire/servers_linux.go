package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Set sets a sysctl(8) among the servers, and nowhere else: /proc/sys/net shows a thread its
// own namespace.
func (w *Wire) Set(name, value string) error {
	err := w.servers.do(func() error {
		return os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0)
	})
	if err != nil {
		return fmt.Errorf("set %s=%s: %w", name, value, err)
	}
	return nil
}

// HalfOpen returns how many handshakes with the servers have begun and are not complete.
func (w *Wire) HalfOpen() (n int, err error) {
	err = w.servers.do(func() (err error) {
		n, err = halfOpen(netip.MustParseAddrPort(ServerAddr).Port())
		return err
	})
	return n, err
}

// Counter returns what the servers' kernel has counted under this name of netstat(8), or 0
// where it does not know the name.
func (w *Wire) Counter(name string) (n int, err error) {
	err = w.servers.do(func() error {
		counters, err := os.ReadFile("/proc/thread-self/net/netstat")
		n = counter(counters, "TcpExt:", name)
		return err
	})
	return n, err
}

// counter finds a counter in pairs of lines, one of names and one of values.
func counter(text []byte, group, name string) int {
	var names [][]byte
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) == 0 || string(f[0]) != group {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i := range min(len(names), len(f)) {
			if string(names[i]) == name {
				n, _ := strconv.Atoi(string(f[i])) // it is a number
				return n
			}
		}
	}
	return 0
}
