package cost

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// membarrier waits for the grace period that steering waits for: MEMBARRIER_CMD_GLOBAL of
// membarrier(2).
func membarrier() error {
	const global = 1
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		return os.NewSyscallError("membarrier", errno)
	}
	return nil
}

// handshakes connects so many times, over loopback, to a socket whose connections nobody but
// the kernel takes care of, and returns what each connect(2) took, in milliseconds.
func handshakes(n int) (took []float64, err error) {
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(listener)
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	to, err := unix.Getsockname(listener)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	for range n {
		t, err := handshake(listener, to)
		if err != nil {
			return nil, err
		}
		took = append(took, ms(t))
	}
	return took, nil
}

// handshake connects once, and accepts and closes what comes of it.
func handshake(listener int, to unix.Sockaddr) (took time.Duration, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	began := time.Now()
	if err := unix.Connect(fd, to); err != nil {
		return 0, os.NewSyscallError("connect", err)
	}
	took = time.Since(began)
	accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return 0, os.NewSyscallError("accept", err)
	}
	return took, unix.Close(accepted)
}
