package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/libp2p/go-reuseport"
	"golang.org/x/sys/unix"
)

// Broken on purpose, and seen red:
//   - the look listens: ALookTakesNoConnection
//   - nothing is bound: ALookFindsWhatWouldRefuseUs
//   - the upper layer protocol is not asked for: ALookSeesMPTCP
//   - all who overlap are taken for sharing: ALookSeesWhoListens
//   - the zone is left out: ALookAtALinkLocalAddress

func lookAt(tb testing.TB, network, address string) Place {
	tb.Helper()
	p, err := LookAt(tb.Context(), network, address)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Beside one that is not pinned whoever listens gets its share.
func TestALookTakesNoConnection(t *testing.T) {
	a := serving(t, "A", "tcp4", loopback)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		for range 50 {
			lookAt(t, "tcp4", a.Addr().String())
		}
	}()
	for over := false; !over; {
		land(t, a.Addr().String(), 100).expect(t, 100, "A")
		select {
		case <-looked:
			over = true
		default:
		}
	}
	if !a.Alone() {
		t.Error("a look has left somebody in the group")
	}
}

func TestALookSeesWhoListens(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	address := a.Addr().String()
	p := lookAt(t, "tcp4", address)
	if p.Bind != nil || p.Mismatch != nil || p.Addr != address || len(p.Members) != len(a.sockets()) {
		t.Fatalf("it sees %+v", p)
	}
	for _, m := range p.Members {
		who := fmt.Sprintf("pid %d (%s)", m.PID, m.Program)
		if who != me(t) || !m.Shares || !m.Ours || m.Addr != address {
			t.Errorf("it sees %+v", m)
		}
		if m.Backlog.Err != nil || m.Backlog.Value < 128 || m.MPTCP != (Fact[bool]{}) {
			t.Errorf("of its queue it sees %+v, of MPTCP %+v", m.Backlog, m.MPTCP)
		}
	}
	theirs := lookAt(t, "tcp4", "0.0.0.0:"+address[strings.LastIndex(address, ":")+1:])
	if !errors.Is(theirs.Mismatch, ErrMismatch) || len(theirs.Members) == 0 || theirs.Members[0].Shares {
		t.Errorf("at another address it sees %+v", theirs)
	}
}

func TestALookSeesMPTCP(t *testing.T) {
	lc := net.ListenConfig{Control: reuseport.Control}
	lc.SetMultipathTCP(true)
	ln, err := lc.Listen(context.Background(), "tcp4", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if on, err := switchAt("net/mptcp/enabled"); !on {
		t.Skipf("this host has no MPTCP: %v", err)
	}
	p := lookAt(t, "tcp4", ln.Addr().String())
	if len(p.Members) != 1 || !p.Members[0].MPTCP.Value || p.Members[0].PID != os.Getpid() {
		t.Errorf("it sees %+v", p.Members)
	}
}

func TestALookFindsWhatWouldRefuseUs(t *testing.T) {
	fd, address := boundSocket(t, unix.AF_INET, netip.MustParseAddrPort(loopback))
	defer unix.Close(fd)
	if p := lookAt(t, "tcp4", address); !errors.Is(p.Bind, syscall.EADDRINUSE) || !strings.Contains(p.Bind.Error(), "bound but does not listen") {
		t.Errorf("bind says %v", p.Bind)
	}
	if p := lookAt(t, "tcp4", "203.0.113.1:80"); !errors.Is(p.Bind, syscall.EADDRNOTAVAIL) {
		t.Errorf("bind says %v", p.Bind)
	}
	if _, err := LookAt(t.Context(), "tcp4", "127.0.0.1"); err == nil || !strings.Contains(err.Error(), "look at 127.0.0.1") {
		t.Errorf("of a malformed address: %v", err)
	}
}

func TestALookIsAtEachKindOfAddress(t *testing.T) {
	needFamilies(t, []string{"::1"})
	for _, c := range []struct{ network, address string }{
		{"tcp", ":0"}, {"tcp4", "0.0.0.0:0"}, {"tcp6", "[::]:0"}, {"tcp", "[::1]:0"}, {"tcp", "127.0.0.1:0"},
	} {
		m := joined(t, "A", c.network, c.address)
		p := lookAt(t, c.network, m.Addr().String())
		if p.Bind != nil || len(p.Members) != len(m.sockets()) || !p.Members[0].Shares {
			t.Errorf("%s %s: it sees %+v", c.network, c.address, p)
		}
		m.Close()
	}
}

func TestALookAtALinkLocalAddress(t *testing.T) {
	inOwnNetwork(t, func(t *testing.T) {
		addLinkLocal(t)
		eventually(t, "the kernel has the address, and so has the look", func() bool {
			return lookAt(t, "tcp", "[fe80::1%lo]:8080").Bind == nil
		})
	})
}

// addLinkLocal gives lo the address fe80::1: struct in6_ifreq of linux/ipv6.h.
func addLinkLocal(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	request := struct {
		address       [16]byte
		prefix, index uint32
	}{netip.MustParseAddr("fe80::1").As16(), 64, 1}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request))); errno != 0 {
		t.Fatal(errno)
	}
}
