package main

import (
	"net"
	"syscall"
)

// ended reports whether the server has ended an idle connection, without
// reading from it. Data that nobody asked for counts as an end too: what
// follows could not be told from the next answer.
func ended(conn net.Conn) bool {
	raw, err := socket(conn).(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	alive := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = err == syscall.EAGAIN
	})
	return err != nil || !alive
}
