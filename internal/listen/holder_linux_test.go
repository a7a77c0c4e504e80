package listen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/libp2p/go-reuseport"
	"golang.org/x/sys/unix"
)

// Broken on purpose, and seen red:
//   - neighbours are not looked at: AnAddressThatOverlaps
//   - v6only and device are not compared: AnAddressThatOverlaps
//   - sock_diag is not asked: AnAddressThatOverlaps, SockDiagTells
//   - AllowMismatch is ignored: AnAddressThatOverlaps
//   - EADDRINUSE is not explained: the four about who is named or suspected
//   - all users are alike: AHolderOfAnotherUser
//   - connections are taken for listeners: ALocalPortOfAConnection
//   - connections count as neighbours: AConnectionIsNoMismatch

// me is how an error names this process.
func me(tb testing.TB) string {
	tb.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("pid %d (%s)", os.Getpid(), strings.TrimSpace(string(comm)))
}

// expectInUse listens on address and expects an error that says all of this.
func expectInUse(tb testing.TB, address string, says ...string) {
	tb.Helper()
	l, err := Listen(tb.Context(), "tcp4", address, Config{})
	if err == nil {
		l.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		tb.Fatalf("listens on %s, which is in use, and got %v", address, err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			tb.Errorf("%q does not say %q", err, s)
		}
	}
}

func TestAHolderWithoutReuseportIsNamedWithTheRemedy(t *testing.T) {
	holder, err := net.Listen("tcp4", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	expectInUse(t, holder.Addr().String(), "held by "+me(t)+" without SO_REUSEPORT", "make it listen with SO_REUSEPORT too")
}

func TestAHolderOfAnotherUserIsNamedWithTheRemedy(t *testing.T) {
	if isChild(t) {
		p := newParent()
		a := joined(t, "A", "tcp4", loopback)
		p.say("%v", a.Addr())
		p.wait()
		return
	}
	cmd := again(t)
	asOther(t, cmd)
	holder := start(t, cmd)
	address := holder.hear()
	expectInUse(t, address, fmt.Sprintf("held by pid %d (", cmd.Process.Pid), "of user 65534", "while this runs as user 0", "run both as the same")
	holder.goOn()
}

func TestALocalPortOfAConnectionIsNamedWithTheRemedy(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	c, err := net.Dial("tcp4", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expectInUse(t, c.LocalAddr().String(), "local port of a connection of "+me(t), "ip_local_reserved_ports")
}

func TestASocketThatIsBoundButDoesNotListenIsSuspected(t *testing.T) {
	fd, address := boundSocket(t, unix.AF_INET, netip.MustParseAddrPort(loopback))
	defer unix.Close(fd)
	expectInUse(t, address, "bound but does not listen")
}

// boundSocket binds without SO_REUSEPORT and does not listen.
func boundSocket(tb testing.TB, family int, at netip.AddrPort) (fd int, address string) {
	tb.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	if err := unix.Bind(fd, sockaddr(at)); err != nil {
		tb.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
}

// neighbourOf listens as somebody else does who shares, with what else is wanted.
func neighbourOf(tb testing.TB, network, address string, more ...control) {
	tb.Helper()
	lc := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error {
		for _, f := range append(more, reuseport.Control) {
			if err := f(network, address, c); err != nil {
				return err
			}
		}
		return nil
	}}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
}

// quietPort returns a port that is free at every address. The kernel's own choice
// is free at one: at another it may be the local port of somebody's connection.
func quietPort(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(12000)) // below the usual ip_local_port_range
		if ln, err := net.Listen("tcp", ":"+port); err == nil {
			ln.Close()
			return port
		}
	}
	tb.Fatal("no port is free at every address")
	return ""
}

// onLoopback binds to the interface lo.
func onLoopback(_, _ string, c syscall.RawConn) (err error) {
	if cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "lo") }); cerr != nil {
		return cerr
	}
	return err
}

func TestAnAddressThatOverlapsInsteadOfSharingIsRefused(t *testing.T) {
	for _, c := range []struct {
		name             string
		theirs, theirsAt string
		with             []control
		ours, oursAt     string
		named            string // how the error names theirs; empty: no error
	}{
		{name: "dual stack, then every IPv4", theirs: "tcp", theirsAt: "[::]:", ours: "tcp4", oursAt: "0.0.0.0:", named: "[::]:PORT (IPv4 and IPv6),"},
		{name: "every IPv4, then one", theirs: "tcp4", theirsAt: "0.0.0.0:", ours: "tcp4", oursAt: "127.0.0.1:", named: "0.0.0.0:PORT,"},
		{name: "one IPv4, then every", theirs: "tcp4", theirsAt: "127.0.0.1:", ours: "tcp4", oursAt: "0.0.0.0:", named: "127.0.0.1:PORT,"},
		{name: "one IPv4, then dual stack", theirs: "tcp4", theirsAt: "127.0.0.1:", ours: "tcp", oursAt: ":", named: "127.0.0.1:PORT,"},
		{name: "dual stack, then every IPv6", theirs: "tcp", theirsAt: "[::]:", ours: "tcp6", oursAt: "[::]:", named: "[::]:PORT (IPv4 and IPv6),"},
		{name: "every IPv6, then dual stack", theirs: "tcp6", theirsAt: "[::]:", ours: "tcp", oursAt: ":", named: "[::]:PORT (IPv6 only),"},
		{name: "every IPv6, then one", theirs: "tcp6", theirsAt: "[::]:", ours: "tcp6", oursAt: "[::1]:", named: "[::]:PORT (IPv6 only),"},
		{name: "on an interface", theirs: "tcp4", theirsAt: "0.0.0.0:", with: []control{onLoopback}, ours: "tcp4", oursAt: "0.0.0.0:", named: "0.0.0.0:PORT (on interface 1),"},
		{name: "IPv4 beside IPv6 only", theirs: "tcp6", theirsAt: "[::]:", ours: "tcp4", oursAt: "0.0.0.0:"},
		{name: "IPv6 only beside IPv4", theirs: "tcp4", theirsAt: "0.0.0.0:", ours: "tcp6", oursAt: "[::]:"},
		{name: "two addresses", theirs: "tcp4", theirsAt: "127.0.0.1:", ours: "tcp4", oursAt: "127.0.0.2:"},
		{name: "the same IPv4", theirs: "tcp4", theirsAt: "127.0.0.1:", ours: "tcp4", oursAt: "127.0.0.1:"},
		{name: "the same dual stack", theirs: "tcp", theirsAt: ":", ours: "tcp", oursAt: "[::]:"},
		{name: "the same IPv6 only", theirs: "tcp6", theirsAt: "[::]:", ours: "tcp6", oursAt: ":"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.theirs != "tcp4" || c.ours != "tcp4" {
				needFamilies(t, []string{"::1"})
			}
			port := quietPort(t)
			neighbourOf(t, c.theirs, c.theirsAt+port, c.with...)
			l, err := Listen(t.Context(), c.ours, c.oursAt+port, Config{})
			if err == nil {
				l.Close()
			}
			if c.named == "" {
				if err != nil {
					t.Fatalf("these share, or do not meet: %v", err)
				}
				return
			}
			if !errors.Is(err, ErrMismatch) {
				t.Fatalf("got %v, want ErrMismatch", err)
			}
			if want := me(t) + " listens on " + strings.ReplaceAll(c.named, "PORT", port); !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
			l, err = Listen(t.Context(), c.ours, c.oursAt+port, Config{AllowMismatch: true})
			if err != nil {
				t.Fatalf("allowed to: %v", err)
			}
			l.Close()
		})
	}
}

// Only listeners count: a connection from the port is no neighbour to share with.
func TestAConnectionIsNoMismatch(t *testing.T) {
	a := joined(t, "A", "tcp4", "0.0.0.0:0")
	c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", a.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := joined(t, "B", "tcp4", a.Addr().String())
	b.retire(t)
}

func TestAMalformedAddressIsRefused(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "127.0.0.1:http:80", "256.0.0.1:1x"} {
		if l, err := Listen(t.Context(), "tcp4", address, Config{}); err == nil {
			l.Close()
			t.Errorf("listens on %q", address)
		}
	}
}

func TestOnlyTCPPortsAreShared(t *testing.T) {
	// No network but TCP gets as far as open: the address is not host and port.
	if l, err := Listen(t.Context(), "unix", t.TempDir()+"/s", Config{}); err == nil {
		l.Close()
		t.Error("listens on a unix socket")
	}
}
