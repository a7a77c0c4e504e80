package wire

import (
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// openSocket makes a socket in the thread's namespace, where it stays.
func openSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	return fd, os.NewSyscallError("socket", err)
}

// connect connects a socket, which it takes over. net.Dialer would make one of its own,
// in the namespace of whichever thread it runs on.
func connect(fd int, from netip.Addr, to netip.AddrPort, deadline time.Time) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close() // FileConn makes a descriptor of its own
	if err := bind(fd, from); err != nil {
		return nil, err
	}
	if err := file.SetDeadline(deadline); err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var result error
	err = raw.Write(func(fd uintptr) bool {
		// Asked again, connect(2) says how far it is.
		result = unix.Connect(int(fd), &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		return result != unix.EINPROGRESS && result != unix.EALREADY
	})
	if err != nil {
		return nil, err
	}
	if result != nil && result != unix.EISCONN {
		return nil, os.NewSyscallError("connect", result)
	}
	return net.FileConn(file)
}

// bind chooses the address, and leaves the port to connect, which knows what is free.
func bind(fd int, from netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}))
}
