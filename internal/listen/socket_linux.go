package listen

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// anyCPU is the SO_INCOMING_CPU of a socket that is not pinned.
const anyCPU = -1

// inspect reads back what the socket must have and remembers its inode.
func (s *socket) inspect() error {
	return s.control(func(fd int) error {
		// go-reuseport's Available always says yes; the kernel is asked instead.
		on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
		if err != nil {
			return os.NewSyscallError("getsockopt SO_REUSEPORT", err)
		}
		if on == 0 {
			return errors.New("the system did not keep SO_REUSEPORT")
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return os.NewSyscallError("fstat", err)
		}
		s.inode = st.Ino
		return nil
	})
}

// pin makes the socket one of those that share the connections of cpu;
// pin(anyCPU) makes it one that gets nothing while another is pinned there.
func (s *socket) pin(cpu int) error {
	return s.control(func(fd int) error {
		return os.NewSyscallError("setsockopt SO_INCOMING_CPU",
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_INCOMING_CPU, cpu))
	})
}

// setHandshakeRetries sets how often a SYN-ACK is sent again before a handshake
// is given up: n means 2^(n+1)-1 seconds. It acts on handshakes that exist.
func (s *socket) setHandshakeRetries(n int) error {
	return s.control(func(fd int) error {
		return os.NewSyscallError("setsockopt TCP_SYNCNT", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, n))
	})
}

// backlog is the length of the accept queue (inet_csk_get_info).
func (s *socket) backlog() (length int, err error) {
	err = s.control(func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return os.NewSyscallError("getsockopt TCP_INFO", err)
		}
		length = int(info.Unacked)
		return nil
	})
	return length, err
}

// shutDown takes the socket out of LISTEN and out of its group. Closing alone
// does not while a child process holds the descriptor.
func (s *socket) shutDown() error {
	err := s.control(func(fd int) error {
		return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_RD))
	})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// control runs f on the descriptor.
func (s *socket) control(f func(fd int) error) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
