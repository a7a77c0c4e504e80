package main

import (
	"context"
	"log"
	"net"
	"os"
	"syscall"
)

// programs are those that scripts can run.
func programs() map[string]func() {
	return map[string]func(){"server": main, "stranger": stranger}
}

// soReusePort is SO_REUSEPORT of asm-generic/socket.h, which package syscall has not.
const soReusePort = 15

// reusePort lets others share the port that a socket is going to have.
func reusePort(_, _ string, c syscall.RawConn) (err error) {
	if controlErr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1)
	}); controlErr != nil {
		return controlErr
	}
	return err
}

// stranger is a program of scripts that listens on its argument with SO_REUSEPORT, and knows
// nothing of overlap.
func stranger() {
	lc := net.ListenConfig{Control: reusePort}
	ln, err := lc.Listen(context.Background(), "tcp", os.Args[1])
	for err == nil {
		var c net.Conn
		if c, err = ln.Accept(); err == nil {
			c.Close()
		}
	}
	log.Fatal(err)
}
