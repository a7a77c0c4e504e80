package wire

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Set sets a sysctl of the servers' network, by its name with dots. The host's own stays as it
// is.
func (w *Wire) Set(name, value string) error {
	file := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
	return w.servers.do(func() error {
		// The file is of the network of whoever opens it.
		if err := os.WriteFile(file, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s to %s: %w", name, value, err)
		}
		return nil
	})
}

// Overflows is how often an accept queue of the servers was full: what came then was dropped,
// and had to come again.
func (w *Wire) Overflows() (n int, err error) {
	err = w.servers.do(func() (err error) {
		n, err = counter("/proc/thread-self/net/netstat", "TcpExt:", "ListenOverflows")
		return err
	})
	return n, err
}

// HalfOpen is how many handshakes the servers have begun and not ended.
func (w *Wire) HalfOpen() (n int, err error) {
	err = w.servers.do(func() (err error) {
		n, err = sockets("/proc/thread-self/net/tcp", "03") // TCP_SYN_RECV
		return err
	})
	return n, err
}

// counter reads a value from a file that has pairs of lines: names, and values below them.
func counter(file, protocol, name string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != protocol {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, n := range names {
			if n == name && i < len(fields) {
				return strconv.Atoi(fields[i])
			}
		}
	}
	return 0, errors.New(file + " does not have " + name)
}

// sockets counts those in a state.
func sockets(file, state string) (n int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		const column = 3
		if fields := bytes.Fields(line); len(fields) > column && string(fields[column]) == state {
			n++
		}
	}
	return n, nil
}
