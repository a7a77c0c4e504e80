package main

import (
	"fmt"
	"log"
	"net"
	"runtime"
	"syscall"
)

// listenAndServeBare answers whatever it reads with the same bytes, on a thread for each CPU,
// and does nothing that the kernel does not have to be asked for.
func listenAndServeBare(addr string) error {
	ln, err := net.Listen("tcp4", addr)
	if err != nil {
		return err
	}
	file, err := ln.(*net.TCPListener).File()
	ln.Close() // the file is the listener, without Go's poller
	if err != nil {
		return err
	}
	defer file.Close()
	listener := int(file.Fd())
	if err := syscall.SetNonblock(listener, true); err != nil {
		return err
	}
	failed := make(chan error)
	for range runtime.NumCPU() {
		go func() { failed <- bareLoop(listener) }()
	}
	return <-failed
}

// bareAnswer is what an answer cannot do without.
var bareAnswer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nRelease: v1\r\nContent-Length: %d\r\n\r\n%s", len(greeting("v1")), greeting("v1"))

// exclusive is EPOLLEXCLUSIVE of epoll_ctl(2): one thread wakes up for a connection.
const exclusive = 1 << 28

func bareLoop(listener int) error {
	runtime.LockOSThread()
	poll, err := syscall.EpollCreate1(0)
	if err != nil {
		return err
	}
	if err := watch(poll, listener, exclusive); err != nil {
		return err
	}
	events, request := make([]syscall.EpollEvent, 64), make([]byte, 4096)
	for {
		n, err := syscall.EpollWait(poll, events, -1)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, event := range events[:max(n, 0)] {
			if fd := int(event.Fd); fd == listener {
				acceptBare(poll, listener)
			} else {
				answerBare(fd, request)
			}
		}
	}
}

func watch(poll, fd int, how uint32) error {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | how, Fd: int32(fd)}
	return syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &event)
}

func acceptBare(poll, listener int) {
	fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	if err != nil {
		return // the other thread has it
	}
	if err := watch(poll, fd, 0); err != nil {
		log.Fatal(err)
	}
}

// answerBare takes what it reads for one request: its clients wait for their answers.
func answerBare(fd int, request []byte) {
	n, err := syscall.Read(fd, request)
	if n > 0 {
		_, err = syscall.Write(fd, bareAnswer)
	}
	if n == 0 || err != nil {
		syscall.Close(fd)
	}
}
