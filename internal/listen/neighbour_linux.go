package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/ba995850/overlap/internal/holder"
	"github.com/libp2p/go-reuseport"
	"golang.org/x/sys/unix"
)

// tuple is what decides, beside port and user, in which group a socket is.
type tuple struct {
	local  netip.AddrPort // Is6 says the family
	v6only bool           // of a wildcard; the kernel sets it itself on a specific address
	device uint32         // SO_BINDTODEVICE, as an interface index; 0: none
}

// v4 and v6 are the addresses of a family that the socket takes connections for.
func (t tuple) v4() (netip.Addr, bool) {
	ip := t.local.Addr()
	if ip.Is6() && ip.IsUnspecified() && !t.v6only {
		return netip.IPv4Unspecified(), true
	}
	return ip.Unmap(), ip.Unmap().Is4()
}

func (t tuple) v6() (netip.Addr, bool) {
	ip := t.local.Addr()
	return ip, ip.Is6() && !ip.Is4In6()
}

func (t tuple) overlaps(o tuple) bool {
	a4, is4 := t.v4()
	b4, too4 := o.v4()
	a6, is6 := t.v6()
	b6, too6 := o.v6()
	return is4 && too4 && meet(a4, b4) || is6 && too6 && meet(a6, b6)
}

func meet(a, b netip.Addr) bool { return a == b || a.IsUnspecified() || b.IsUnspecified() }

// neighbour is a socket of somebody else on our port.
type neighbour struct {
	tuple
	uid       string
	listening bool
	inode     uint64 // 0: no process holds it, as in TIME_WAIT
	queued    int
	backlog   Fact[int]
	mptcp     Fact[bool]
}

// held says whether a process has it open.
func (n neighbour) held() bool { return n.inode != 0 }

func (n neighbour) holder() holder.Process { return holder.Of(n.inode)[n.inode] }

// openFirst opens the first socket of a listener. What else is on the port is
// looked at before the bind, when nothing has happened yet.
func openFirst(ctx context.Context, network, address string, cfg Config) (*socket, error) {
	var mine tuple
	s, err := openWith(ctx, network, address, func(network, address string, c syscall.RawConn) (err error) {
		if mine, err = tupleOf(network, address, c); err != nil {
			return err
		}
		if err := mine.checkNeighbours(); err != nil && !cfg.AllowMismatch {
			return err
		}
		if err := mine.askGuard(cfg.Guard); err != nil {
			return err
		}
		return reuseport.Control(network, address, c)
	})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, mine.explain(err)
	}
	return s, err
}

// tupleOf reads what Go made of the address that was asked for. The wildcard
// comes as 0.0.0.0, or without a host, for a dual-stack socket too: the network
// tells them apart.
func tupleOf(network, address string, c syscall.RawConn) (t tuple, err error) {
	if strings.HasPrefix(address, ":") {
		address = "0.0.0.0" + address
	}
	if t.local, err = netip.ParseAddrPort(address); err != nil {
		return t, err
	}
	t.local = netip.AddrPortFrom(t.local.Addr().WithZone(""), t.local.Port()) // /proc shows none
	if strings.HasSuffix(network, "6") && t.local.Addr() == netip.IPv4Unspecified() {
		t.local = netip.AddrPortFrom(netip.IPv6Unspecified(), t.local.Port())
	}
	err = c.Control(func(fd uintptr) {
		on, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		t.v6only = err == nil && on == 1 && t.local.Addr().IsUnspecified()
	})
	return t, err
}

// checkNeighbours returns ErrMismatch when one of our user overlaps with us. A
// neighbour of another user makes the bind fail: explain has the words for that.
func (t tuple) checkNeighbours() error {
	for _, n := range t.listeners() {
		if n.tuple != t {
			return fmt.Errorf("%w: %s listens on %v, this would listen on %v. Give both the same address, or stop the other first",
				ErrMismatch, n.holder(), n.tuple, t)
		}
	}
	return nil
}

// listeners are the neighbours of our user that listen.
func (t tuple) listeners() []neighbour {
	me := strconv.Itoa(os.Geteuid())
	return slices.DeleteFunc(t.neighbours(func(ln line) bool { return ln.listening }), func(n neighbour) bool { return n.uid != me })
}

// askGuard lets the guard decide about those with whom we would share. Where it refuses
// somebody who does not share, the bind has the better words for that.
func (t tuple) askGuard(guard Guard) error {
	if guard == nil || t.local.Port() == 0 {
		return nil
	}
	err := guard(t.local.String(), t.group)
	if err != nil && errors.Is(t.tryBind(), unix.EADDRINUSE) {
		return nil
	}
	return err
}

// tryBind binds a socket as ours will be, and closes it. Nothing is sent to one that does not
// listen.
func (t tuple) tryBind() error {
	var at unix.Sockaddr = &unix.SockaddrInet6{Port: int(t.local.Port()), Addr: t.local.Addr().As16()}
	family := unix.AF_INET6
	if t.local.Addr().Is4() {
		at, family = &unix.SockaddrInet4{Port: int(t.local.Port()), Addr: t.local.Addr().As4()}, unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, too4 := t.v4(); family == unix.AF_INET6 && !too4 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	for _, opt := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, 1))
	}
	return errors.Join(err, unix.Bind(fd, at))
}

// group returns the listening sockets, by inode, that are in our group before we are.
func (t tuple) group() (inodes []uint64) {
	for _, n := range t.listeners() {
		if n.tuple == t {
			inodes = append(inodes, n.inode)
		}
	}
	return inodes
}

// String writes the tuple as an address with what else decides.
func (t tuple) String() string {
	text := t.local.String()
	switch _, too4 := t.v4(); {
	case t.v6only:
		text += " (IPv6 only)"
	case too4 && t.local.Addr().Is6():
		text += " (IPv4 and IPv6)"
	}
	if t.device != 0 {
		text += fmt.Sprintf(" (on interface %d)", t.device)
	}
	return text
}

// neighbours returns the sockets that overlap with t, as far as they can be seen.
func (t tuple) neighbours(wanted func(line) bool) []neighbour {
	if t.local.Port() == 0 {
		return nil
	}
	var found []neighbour
	for _, v6 := range []bool{false, true} {
		found = append(found, t.neighboursIn(v6, wanted)...)
	}
	return found
}

func (t tuple) neighboursIn(v6 bool, wanted func(line) bool) (found []neighbour) {
	tab, err := openTable(v6)
	if err != nil {
		return nil
	}
	defer tab.close()
	details := bindDetails(v6, t.local.Port())
	tab.each(func(ln line) (more bool) {
		if ln.local.Port() == t.local.Port() && wanted(ln) {
			n := neighbour{tuple: tuple{local: ln.local}, uid: ln.uid, listening: ln.listening, inode: ln.inode, queued: ln.queued}
			n.backlog, n.mptcp = details.more(ln.inode)
			n.v6only, n.device = details.of(ln, t)
			n.v6only = n.v6only && n.local.Addr().IsUnspecified()
			if n.overlaps(t) {
				found = append(found, n)
			}
		}
		return wanted(ln)
	})
	return found
}

// explain adds to "address already in use" who holds it and what to do.
func (t tuple) explain(err error) error {
	held := t.neighbours(func(line) bool { return true })
	if len(held) == 0 {
		return fmt.Errorf("%w: held by a socket that is bound but does not listen", err)
	}
	return fmt.Errorf("%w: %s", err, slices.MinFunc(held, likelier).remedy())
}

// likelier compares who is in the way: a listener, then what a process holds.
func likelier(a, b neighbour) int {
	return cmp.Or(rank(b.listening)-rank(a.listening), rank(b.held())-rank(a.held()))
}

func rank(is bool) int {
	if is {
		return 1
	}
	return 0
}

func (n neighbour) remedy() string {
	me := strconv.Itoa(os.Geteuid())
	switch {
	case !n.listening:
		return fmt.Sprintf("it is the local port of a connection of %s. Choose a port outside net.ipv4.ip_local_port_range, or add it to net.ipv4.ip_local_reserved_ports", n.holder())
	case n.uid != me:
		return fmt.Sprintf("held by %s of user %s while this runs as user %s. Only processes of one user share a port: run both as the same", n.holder(), userName(n.uid), userName(me))
	default:
		return fmt.Sprintf("held by %s without SO_REUSEPORT. Stop it once, or make it listen with SO_REUSEPORT too", n.holder())
	}
}

func userName(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return uid + " (" + u.Username + ")"
	}
	return uid
}
