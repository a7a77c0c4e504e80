package drain

import (
	"net"

	"golang.org/x/sys/unix"
)

// arrived says whether bytes have arrived that nobody has read.
func arrived(c *net.TCPConn) bool { return ask(c, unix.SIOCINQ) > 0 }

// outstanding returns how many bytes, sent or not, the peer has not acknowledged.
func outstanding(c *net.TCPConn) int64 { return int64(ask(c, unix.SIOCOUTQ)) }

// ask asks for the length of a queue of a connection; tcp(7).
func ask(c *net.TCPConn, queue uint) (n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), queue) })
	return n
}
