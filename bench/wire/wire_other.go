//go:build !linux

package wire

import (
	"errors"
	"net"
	"os/exec"
	"runtime"
	"time"
)

// ServerAddr is where servers at the far end listen, with a port of theirs.
const ServerAddr = "198.18.0.2:8080"

var errNotSupported = errors.New("network namespaces are Linux, this is " + runtime.GOOS)

// Wire cannot be made here.
type Wire struct{}

// Open says so.
func Open(Spec, uint64) (*Wire, error) { return nil, errNotSupported }

// Dial cannot be reached.
func (*Wire) Dial(string, time.Time) (net.Conn, error) { return nil, errNotSupported }

// Start cannot be reached.
func (*Wire) Start(*exec.Cmd) error { return errNotSupported }

// Set cannot be reached.
func (*Wire) Set(string, string) error { return errNotSupported }

// Counter cannot be reached.
func (*Wire) Counter(string) (int, error) { return 0, errNotSupported }

// HalfOpen cannot be reached.
func (*Wire) HalfOpen() (int, error) { return 0, errNotSupported }

// Traffic cannot be reached.
func (*Wire) Traffic() (Traffic, error) { return Traffic{}, errNotSupported }

// Close cannot be reached.
func (*Wire) Close() {}
