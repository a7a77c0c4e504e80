//go:build !linux

package drain

import "net"

// Elsewhere the queues of a connection are not known: idle is taken for idle,
// sent for acknowledged.

func arrived(*net.TCPConn) bool      { return false }
func outstanding(*net.TCPConn) int64 { return 0 }
