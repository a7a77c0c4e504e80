package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"github.com/ba995850/overlap/internal/holder"
	"github.com/libp2p/go-reuseport"
	"golang.org/x/sys/unix"
)

// errLooked ends a look before the socket listens.
var errLooked = errors.New("looked")

// LookAt looks at an address as Listen would take it, up to the bind. It never listens:
// not a connection of those who do comes to us.
func LookAt(ctx context.Context, network, address string) (p Place, err error) {
	lc := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error {
		mine, err := tupleOf(network, address, c)
		if err != nil {
			return err
		}
		if err := reuseport.Control(network, address, c); err != nil {
			return err
		}
		p = mine.look(bind(c, mine.withZone(address)))
		return errLooked
	}}
	lc.SetMultipathTCP(false)
	if ln, err := lc.Listen(ctx, network, address); !errors.Is(err, errLooked) {
		if err == nil {
			ln.Close()
		}
		return p, fmt.Errorf("look at %s: %w", address, err)
	}
	return p, nil
}

// withZone is the address with the zone that tupleOf has left out.
func (t tuple) withZone(address string) netip.AddrPort {
	if full, err := netip.ParseAddrPort(address); err == nil {
		return netip.AddrPortFrom(t.local.Addr().WithZone(full.Addr().Zone()), t.local.Port())
	}
	return t.local
}

func bind(c syscall.RawConn, at netip.AddrPort) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = os.NewSyscallError("bind", unix.Bind(int(fd), sockaddr(at))) }); err != nil {
		return err
	}
	return inner
}

func (t tuple) look(bound error) Place {
	p := Place{Addr: t.local.String(), Port: int(t.local.Port()), Bind: bound, Mismatch: t.checkNeighbours()}
	if errors.Is(bound, unix.EADDRINUSE) {
		p.Bind = t.explain(bound)
	}
	near := t.neighbours(func(ln line) bool { return ln.listening })
	holders := holdersOf(near)
	for _, n := range near {
		p.Members = append(p.Members, Member{
			Socket: n.inode, Addr: n.tuple.String(), Shares: n.tuple == t, Ours: n.uid == strconv.Itoa(os.Geteuid()), User: userName(n.uid),
			PID: holders[n.inode].PID, Program: holders[n.inode].Program, Queued: n.queued, Backlog: n.backlog, MPTCP: n.mptcp,
		})
	}
	return p
}

func holdersOf(near []neighbour) map[uint64]holder.Process {
	inodes := make([]uint64, len(near))
	for i, n := range near {
		inodes[i] = n.inode
	}
	return holder.Of(inodes...)
}
