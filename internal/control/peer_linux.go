package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

func listen(name string) (net.Listener, error) { return net.Listen("unix", "@"+prefix+name) }

// peerOf says who is at the other end: who connected, or who listens; unix(7), SO_PEERCRED.
func peerOf(c net.Conn) (who peer, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return peer{}, errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var is *syscall.Ucred
	var err2 error
	err = raw.Control(func(fd uintptr) {
		is, err2 = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, err2); err != nil {
		return peer{}, err
	}
	return peer{pid: int(is.Pid), uid: int(is.Uid)}, nil
}

// isFriend says whether a caller may be told, and may tell us what to do.
func (p peer) isFriend() bool { return p.uid == 0 || p.isUs() }

// isUs says whether it is of our user.
func (p peer) isUs() bool {
	return p.uid == os.Geteuid() && (p.uid != overflowUID || seesAllUsers())
}

// overflowUID is what the kernel shows for users that our user namespace has no number for,
// all of them; user_namespaces(7). It is the number of "nobody", too.
const overflowUID = 65534

// seesAllUsers says whether our user namespace has a number for every user.
func seesAllUsers() bool {
	var first, outside, length uint64
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	_, err = fmt.Sscan(string(text), &first, &outside, &length)
	return err == nil && first == 0 && outside == 0 && length == 1<<32-1
}

// isTrusted says whether an endpoint is what it seems to be, and answers us: root's answers
// nobody else. Who is root asks everybody's.
func (p peer) isTrusted() bool { return os.Geteuid() == 0 || p.isUs() }
