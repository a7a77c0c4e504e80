//go:build unix

package drain

import (
	"net/netip"
	"syscall"
	"testing"
)

// dialRaw opens connections of which Go knows nothing, and sends a request on each.
func dialRaw(tb testing.TB, addr string, n int, request string) (closeAll func()) {
	tb.Helper()
	to := netip.MustParseAddrPort(addr)
	fds := make([]int, n)
	for i := range fds {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		must(tb, err)
		must(tb, syscall.Connect(fd, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}))
		_, err = syscall.Write(fd, []byte(request))
		must(tb, err)
		fds[i] = fd
	}
	return func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	}
}
