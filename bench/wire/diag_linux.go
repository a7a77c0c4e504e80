package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// What of linux/inet_diag.h and net/tcp_states.h is needed here.
const (
	diagRequestLen = 56 // struct inet_diag_req_v2
	diagStates     = 4
	diagSourcePort = 8 // in network order
	tcpSynRecv     = 3
)

// halfOpen counts the half-open handshakes of a port, in the thread's namespace. It asks
// sock_diag(7): /proc/net/tcp shows all sockets, and takes a while to show ten thousand.
func halfOpen(port uint16) (n int, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, diagRequest(port), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, os.NewSyscallError("sendto", err)
	}
	buf := make([]byte, 64<<10)
	for {
		length, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return 0, os.NewSyscallError("recvfrom", err)
		}
		sockets, done, err := countSockets(buf[:length])
		if n += sockets; done || err != nil {
			return n, err
		}
	}
}

// diagRequest asks for the sockets of a port that are in TCP_SYN_RECV.
func diagRequest(port uint16) []byte {
	req := make([]byte, unix.SizeofNlMsghdr+diagRequestLen)
	binary.NativeEndian.PutUint32(req, uint32(len(req)))
	binary.NativeEndian.PutUint16(req[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := req[unix.SizeofNlMsghdr:]
	body[0], body[1] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(body[diagStates:], 1<<tcpSynRecv)
	binary.BigEndian.PutUint16(body[diagSourcePort:], port)
	return req
}

// countSockets counts the sockets of a part of the answer, and says whether it is the last.
func countSockets(part []byte) (n int, done bool, err error) {
	messages, err := syscall.ParseNetlinkMessage(part)
	if err != nil {
		return 0, false, err
	}
	for _, m := range messages {
		switch {
		case m.Header.Type == unix.NLMSG_DONE:
			return n, true, nil
		case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
			return n, true, fmt.Errorf("ask sock_diag: %w", syscall.Errno(-int32(binary.NativeEndian.Uint32(m.Data))))
		case m.Header.Type != unix.SOCK_DIAG_BY_FAMILY:
			return n, true, errors.New("ask sock_diag: its answer is not one")
		}
		n++
	}
	return n, false, nil
}
