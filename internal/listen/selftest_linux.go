package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// selfTest asks this host whether it steers and whether it shows what is
// pending, by doing both on a port of its own. It takes a few milliseconds.
func selfTest(ctx context.Context) Tier {
	if err := trySteering(ctx); err != nil {
		return Tier{Why: err.Error()}
	}
	return Tier{Lossless: true}
}

// trySteering makes connections from one CPU to two sockets, of which the first
// is pinned to it: they must all be pending at the first.
func trySteering(ctx context.Context) error {
	cpus, err := allowedCPUs()
	if err != nil {
		return err
	}
	there, err := open(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer there.Close()
	other, err := open(ctx, "tcp4", there.Addr().String())
	if err != nil {
		return err
	}
	defer other.Close()
	if err := there.pin(cpus[0]); err != nil {
		return err
	}
	to := netip.MustParseAddrPort(there.Addr().String())
	return onCPU(cpus[0], func() error { return connectAndLook(to, there, other) })
}

// connectAndLook leaves the connections open until the table has been read.
func connectAndLook(to netip.AddrPort, there, other *socket) error {
	deadline := time.Now().Add(patience)
	for range probes {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer unix.Close(fd)
		if err := connect(fd, to, deadline); errors.Is(err, errNotAccepted) {
			return fmt.Errorf("the queue of a listener does not hold %d connections, by which it is tried whether the kernel steers: raise net.core.somaxconn", probes)
		} else if err != nil {
			return err
		}
	}
	t, err := openTable(false)
	if err != nil {
		return fmt.Errorf("see what the kernel holds for a listener: %w", err)
	}
	defer t.close()
	for {
		at, elsewhere, err := t.find(there, other)
		// The client's side may be complete before the listener's is.
		if err != nil || at.queued+elsewhere.queued == probes || time.Now().After(deadline) {
			return cmp.Or(err, judge(at, elsewhere))
		}
		time.Sleep(time.Millisecond)
	}
}

// find returns the lines of two sockets.
func (t *table) find(a, b *socket) (atA, atB line, err error) {
	lines, err := t.listeners()
	if err != nil {
		return line{}, line{}, fmt.Errorf("see what the kernel holds for a listener: %w", err)
	}
	for _, ln := range lines {
		switch ln.inode {
		case a.inode:
			atA = ln
		case b.inode:
			atB = ln
		}
	}
	if atA.inode == 0 || atB.inode == 0 {
		return atA, atB, errNotShown
	}
	return atA, atB, nil
}

func judge(at, elsewhere line) error {
	switch {
	case at.queued+elsewhere.queued != probes:
		return fmt.Errorf("/proc/self/net/tcp shows %d of %d connections", at.queued+elsewhere.queued, probes)
	case elsewhere.queued != 0:
		return fmt.Errorf("the kernel does not steer by SO_INCOMING_CPU (Linux 6.2 or later does): %d of %d connections went elsewhere", elsewhere.queued, probes)
	case at.ref != 1+probes && !alwaysCookies():
		return fmt.Errorf("/proc/self/net/tcp does not count pending handshakes: ref is %d with %d connections pending", at.ref, probes)
	}
	return nil
}

// alwaysCookies says whether handshakes hold no reference here because each one
// is made from a SYN cookie.
func alwaysCookies() bool {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_syncookies")
	return err == nil && strings.TrimSpace(string(text)) == "2"
}
