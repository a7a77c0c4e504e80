package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// prober makes short connections to our own address, to see where new ones go.
// Each is proven to have reached a living service: the prober waits for the other
// side to end the connection, which the kernel does not do for one that nobody
// has accepted. A member that is stopped, or whose queue is full, or that no
// longer calls Accept, does not answer.
type prober struct {
	fd   int // one socket, used again and again: it is there when no descriptor is left
	to   netip.AddrPort
	from netip.Addr

	looking sync.Mutex // one look at a time

	mu      sync.Mutex
	current netip.AddrPort // where the connection under way comes from
	hit     bool           // it came to us
}

const (
	// probes is how many connections a look makes at least, on all CPUs together,
	// and probesPerShare how many for each member of the group. If our share of the
	// new connections, one in n, still reached us, 1 look in 60 000 would not see it:
	// (1-1/n)^(11n) < e^-11.
	probes         = 16
	probesPerShare = 11
	probesPerCPU   = 4 // at least
	closedFD       = -1
	// patience is how long a living member may take to accept.
	patience = time.Second
)

var errNotAccepted = fmt.Errorf("another member of the group does not accept: a new connection waited for %v", patience)

// look is where the connections of one look went.
type look struct{ mine, others int }

// newProber prepares to probe the group that listens on local.
func newProber(local netip.AddrPort, v6only bool) (*prober, error) {
	p := &prober{}
	p.to, p.from = probeAddrs(local, v6only)
	family := unix.AF_INET6
	if p.from.Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	p.fd = fd
	return p, nil
}

// probeAddrs says to which address, and from which, the listener is probed. IPv6
// has no loopback network to choose a source of our own from: a v6only group is
// probed from its own address, and only the one who probes knows them.
func probeAddrs(local netip.AddrPort, v6only bool) (to netip.AddrPort, from netip.Addr) {
	ip := local.Addr()
	switch {
	case ip.IsUnspecified() && v6only:
		ip = netip.IPv6Loopback()
	case ip.IsUnspecified():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	ip = ip.Unmap()
	from = ip
	if ip.Is4() {
		from = probeSource
	}
	return netip.AddrPortFrom(ip, local.Port()), from
}

func (p *prober) close() error {
	p.looking.Lock()
	defer p.looking.Unlock()
	fd := p.fd
	p.fd = closedFD // the number will be somebody else's
	return unix.Close(fd)
}

// caught says whether a connection from this address is the one under way, and
// so that it came to us.
func (p *prober) caught(from netip.AddrPort) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.current.IsValid() || from != p.current {
		return false
	}
	p.hit = true
	return true
}

func (p *prober) begin(from netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current, p.hit = from, false
}

func (p *prober) end() (mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = netip.AddrPort{}
	return p.hit
}

// enoughProbes is how many connections show whether the share of mine in a group
// of so many sockets reaches them.
func enoughProbes(mine, group int) int {
	return max(probes, probesPerShare*((group+mine-1)/mine))
}

// look makes n connections or more, from every CPU that we may run on.
func (p *prober) look(n int) (seen look, err error) {
	p.looking.Lock()
	defer p.looking.Unlock()
	if p.fd == closedFD {
		return seen, net.ErrClosed
	}
	cpus, err := allowedCPUs()
	if err != nil {
		return seen, err
	}
	each := max(probesPerCPU, (n+len(cpus)-1)/len(cpus))
	for _, cpu := range cpus {
		if err := onCPU(cpu, func() error { return p.lookHere(each, &seen) }); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

func (p *prober) lookHere(n int, seen *look) error {
	for range n {
		mine, err := p.probe()
		if err != nil {
			return err
		}
		if mine {
			seen.mine++
		} else {
			seen.others++
		}
	}
	return nil
}

// probe makes one connection and says whether it came to us.
func (p *prober) probe() (mine bool, err error) {
	from, err := p.bind()
	if err != nil {
		return false, err
	}
	defer p.reset()
	p.begin(from)
	err = p.exchange()
	return p.end(), err
}

// bind chooses the source port before connecting: our pump may have accepted the
// connection before connect returns.
func (p *prober) bind() (netip.AddrPort, error) {
	if err := unix.Bind(p.fd, sockaddr(netip.AddrPortFrom(p.from, 0))); err != nil {
		return netip.AddrPort{}, fmt.Errorf("probe from %v: %w", p.from, os.NewSyscallError("bind", err))
	}
	sa, err := unix.Getsockname(p.fd)
	if err != nil {
		return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
	}
	port := 0
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		port = sa.Port
	case *unix.SockaddrInet6:
		port = sa.Port
	}
	return netip.AddrPortFrom(p.from, uint16(port)), nil
}

// exchange connects and waits for the other side to end. It ends our side first
// only where the service cannot know a probe: that leaves a TIME_WAIT behind, and
// for a minute nobody can listen on that port of every address.
func (p *prober) exchange() error {
	deadline := time.Now().Add(patience)
	if err := connect(p.fd, p.to, deadline); err != nil {
		return fmt.Errorf("probe %v: %w", p.to, err)
	}
	if p.from != probeSource {
		if err := unix.Shutdown(p.fd, unix.SHUT_WR); err != nil {
			return fmt.Errorf("probe %v: %w", p.to, os.NewSyscallError("shutdown", err))
		}
	}
	if err := await(p.fd, unix.POLLIN, deadline); err != nil {
		return fmt.Errorf("probe %v: %w", p.to, err)
	}
	if _, err := unix.Read(p.fd, make([]byte, 1)); err != nil {
		return fmt.Errorf("probe %v: %w", p.to, os.NewSyscallError("read", err))
	}
	return nil
}

// connect connects a socket that does not block.
func connect(fd int, to netip.AddrPort, deadline time.Time) error {
	err := unix.Connect(fd, sockaddr(to))
	if !errors.Is(err, unix.EINPROGRESS) {
		return os.NewSyscallError("connect", err)
	}
	if err := await(fd, unix.POLLOUT, deadline); err != nil {
		return err
	}
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return os.NewSyscallError("connect", err)
}

// await waits for an event on a socket.
func await(fd int, events int16, deadline time.Time) error {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return errNotAccepted
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(left.Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("poll", err)
		case n > 0:
			return nil
		}
	}
}

// reset makes the socket new: connect(2) to AF_UNSPEC dissolves its association.
func (p *prober) reset() {
	unspec := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	unix.Syscall(unix.SYS_CONNECT, uintptr(p.fd), uintptr(unsafe.Pointer(&unspec)), unsafe.Sizeof(unspec))
}

func sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
	}
	zone := 0
	if link, err := net.InterfaceByName(ap.Addr().Zone()); err == nil {
		zone = link.Index
	}
	return &unix.SockaddrInet6{Addr: ap.Addr().As16(), Port: int(ap.Port()), ZoneId: uint32(zone)}
}
