package listen

import (
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"
)

// Broken on purpose, and seen red:
//   - the guard is asked of other addresses: TheGuardIsShownTheGroup
//   - the guard is not obeyed: TheGuardRefuses
//   - nobody tries whether the other shares: OfAHolderWhoDoesNotShare

var errGuard = errors.New("refused")

func TestTheGuardIsShownTheGroup(t *testing.T) {
	first, err := Listen(t.Context(), "tcp4", loopback, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for addr, want := range map[string]int{first.Addr().String(): len(first.sockets()), loopback: 0} {
		var group []uint64
		second, err := Listen(t.Context(), "tcp4", addr, Config{Guard: func(_ string, now func() []uint64) error {
			group = now()
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		second.Close()
		if len(group) != want {
			t.Errorf("on %s there are %d, want %d", addr, len(group), want)
		}
		for _, inode := range group {
			if !slices.Contains(Sockets(), inode) {
				t.Errorf("%d is not ours", inode)
			}
		}
	}
}

func TestTheGuardRefuses(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0", "0.0.0.0:0"} {
		first, err := Listen(t.Context(), "tcp", addr, Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		before := Sockets()
		_, err = Listen(t.Context(), "tcp", samePort(addr, first), Config{Guard: refuse})
		if !errors.Is(err, errGuard) || !slices.Equal(Sockets(), before) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func refuse(string, func() []uint64) error { return errGuard }

// samePort is what was asked for with the port that was chosen.
func samePort(addr string, ln net.Listener) string {
	host, _, _ := net.SplitHostPort(addr)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return net.JoinHostPort(host, port)
}

func TestOfAHolderWhoDoesNotShareTheGuardIsNotHeard(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		holder, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		_, err = Listen(t.Context(), "tcp", samePort(addr, holder), Config{Guard: refuse})
		if !errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, errGuard) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
