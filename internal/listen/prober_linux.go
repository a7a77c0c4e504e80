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
	fds  []int // used again and again: they are there when no descriptor is left; none: closed
	to   netip.AddrPort
	from netip.Addr

	looking sync.Mutex // one look at a time

	mu       sync.Mutex
	underWay map[netip.AddrPort]bool // where connections come from, and whether they came to us
}

const (
	// probes is how many connections a look makes at least, on all CPUs together,
	// and probesPerShare how many for each member of the group. If our share of the
	// new connections, one in n, still reached us, 1 look in 60 000 would not see it:
	// (1-1/n)^(11n) < e^-11.
	probes         = 16
	probesPerShare = 11
	probesPerCPU   = 4 // at least
	// volley is how many connections are under way at a time: with one it is waiting for
	// members to wake up that takes most of a retirement from a large group.
	volley = 8
	// patience is how long a living member may take to accept the next one.
	patience = time.Second
	// hurry is that for a volley: where it is not enough, a patient look follows, so that
	// one that finds nobody alive takes little longer than a second.
	hurry = patience / 4
)

var errNotAccepted = fmt.Errorf("another member of the group does not accept: a new connection waited for %v", patience)

// look is where the connections of one look went.
type look struct{ mine, others int }

// newProber prepares to probe the group that listens on local.
func newProber(local netip.AddrPort, v6only bool) (*prober, error) {
	p := &prober{underWay: make(map[netip.AddrPort]bool)}
	p.to, p.from = probeAddrs(local, v6only)
	family := unix.AF_INET6
	if p.from.Is4() {
		family = unix.AF_INET
	}
	for range volley {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			p.close()
			return nil, os.NewSyscallError("socket", err)
		}
		p.fds = append(p.fds, fd)
	}
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
	var errs []error
	for _, fd := range p.fds {
		errs = append(errs, unix.Close(fd))
	}
	p.fds = nil // the numbers will be somebody else's
	return errors.Join(errs...)
}

// caught says whether a connection from this address is one that is under way, and
// so that it came to us.
func (p *prober) caught(from netip.AddrPort) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ours := p.underWay[from]; !ours {
		return false
	}
	p.underWay[from] = true
	return true
}

func (p *prober) begin(from netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.underWay[from] = false
}

// end says how many of those that were under way came to us, and how many did not.
func (p *prober) end() (seen look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, mine := range p.underWay {
		if mine {
			seen.mine++
		} else {
			seen.others++
		}
	}
	clear(p.underWay)
	return seen
}

// enoughProbes is how many connections show whether the share of mine in a group
// of so many sockets reaches them.
func enoughProbes(mine, group int) int {
	return max(probes, probesPerShare*((group+mine-1)/mine))
}

// look makes n connections or more, from every CPU that we may run on. It makes some at a
// time, which can fail for one reason more: that they fill the short queue of a member. So
// where one of them is not accepted it looks again, and makes one after the other.
func (p *prober) look(n int) (seen look, err error) {
	p.looking.Lock()
	defer p.looking.Unlock()
	if len(p.fds) == 0 {
		return seen, net.ErrClosed
	}
	seen, err = p.lookWith(p.fds, n, hurry)
	if errors.Is(err, errNotAccepted) {
		seen, err = p.lookWith(p.fds[:1], n, patience)
	}
	return seen, err
}

// lookWith makes as many connections at a time as there are sockets.
func (p *prober) lookWith(fds []int, n int, patience time.Duration) (seen look, err error) {
	cpus, err := allowedCPUs()
	if err != nil {
		return seen, err
	}
	each := max(probesPerCPU, (n+len(cpus)-1)/len(cpus))
	for _, cpu := range cpus {
		if err := onCPU(cpu, func() error { return p.lookHere(fds, each, patience, &seen) }); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

func (p *prober) lookHere(fds []int, n int, patience time.Duration, seen *look) error {
	for ; n > 0; n -= len(fds) {
		fds = fds[:min(n, len(fds))]
		now, err := p.volley(fds, patience)
		if err != nil {
			return err
		}
		seen.mine += now.mine
		seen.others += now.others
	}
	return nil
}

// volley makes one connection on each socket and says where they went.
func (p *prober) volley(fds []int, patience time.Duration) (seen look, err error) {
	defer func() {
		for _, fd := range fds {
			reset(fd)
		}
	}()
	if err = p.send(fds); err == nil {
		err = p.answers(fds, patience)
	}
	return p.end(), err
}

// send begins connections. It chooses the source port before connecting: our pump may
// have accepted the connection before connect returns.
func (p *prober) send(fds []int) error {
	for _, fd := range fds {
		from, err := p.bind(fd)
		if err != nil {
			return err
		}
		p.begin(from)
		if err := unix.Connect(fd, sockaddr(p.to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return fmt.Errorf("probe %v: %w", p.to, os.NewSyscallError("connect", err))
		}
	}
	return nil
}

func (p *prober) bind(fd int) (netip.AddrPort, error) {
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(p.from, 0))); err != nil {
		return netip.AddrPort{}, fmt.Errorf("probe from %v: %w", p.from, os.NewSyscallError("bind", err))
	}
	sa, err := unix.Getsockname(fd)
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

// answers waits for the other sides to end. Each has its patience from when the one before
// was answered, so none less than a single connection would have: one member may have them
// all, and accept them one by one.
func (p *prober) answers(fds []int, patience time.Duration) error {
	for _, fd := range fds {
		if err := p.answer(fd, time.Now().Add(patience)); err != nil {
			return fmt.Errorf("probe %v: %w", p.to, err)
		}
	}
	return nil
}

// answer waits for the other side to end. It ends our side first only where the service
// cannot know a probe: that leaves a TIME_WAIT behind, and for a minute nobody can listen
// on that port of every address.
func (p *prober) answer(fd int, deadline time.Time) error {
	if err := connected(fd, deadline); err != nil {
		return err
	}
	if p.from != probeSource {
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			return os.NewSyscallError("shutdown", err)
		}
	}
	if err := await(fd, unix.POLLIN, deadline); err != nil {
		return err
	}
	_, err := unix.Read(fd, make([]byte, 1))
	return os.NewSyscallError("read", err)
}

// connect connects a socket that does not block.
func connect(fd int, to netip.AddrPort, deadline time.Time) error {
	err := unix.Connect(fd, sockaddr(to))
	if !errors.Is(err, unix.EINPROGRESS) {
		return os.NewSyscallError("connect", err)
	}
	return connected(fd, deadline)
}

// connected waits until a connection that was begun is complete.
func connected(fd int, deadline time.Time) error {
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
func reset(fd int) {
	unspec := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspec)), unsafe.Sizeof(unspec))
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
