package listen

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// Broken on purpose, and seen red:
//   - it does not matter where the connections went: TheSelfTestSays
//   - Accept hands out probes: TheServiceDoesNotSeeProbes
//   - a probe ends its side first: ProbesLeaveNothingBehind
//   - every connection is caught, or each while one is under way: OnlyTheProbesUnderWay
//   - a queue that is too short is somebody who does not accept: TheSelfTestSaysThatQueues
//   - nothing is pending where nobody steers: AHostThatDoesNotSteerAccepts
//   - a host that does not show its sockets is alone: AHostThatDoesNotSteerAndDoesNotShow

func TestThisHostIsLossless(t *testing.T) {
	if tier := selfTest(t.Context()); !tier.Lossless || tier.Why != "" {
		t.Errorf("%+v", tier)
	}
}

func TestTheSelfTestSaysWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name          string
		at, elsewhere line
		want          string
	}{
		{"as it should be", line{queued: probes, ref: 1 + probes}, line{ref: 1}, ""},
		{"none shown", line{ref: 1}, line{ref: 1}, "shows 0 of 16 connections"},
		{"not steered", line{queued: probes - 7, ref: 1 + probes - 7}, line{queued: 7, ref: 8}, "does not steer by SO_INCOMING_CPU"},
		{"ref is not counted", line{queued: probes, ref: 1}, line{ref: 1}, "does not count pending handshakes: ref is 1"},
	} {
		if c.name == "ref is not counted" && alwaysCookies() {
			continue // it need not be, then
		}
		err := judge(c.at, c.elsewhere)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestWhereAListenerIsProbed(t *testing.T) {
	for _, c := range []struct {
		local    string
		v6only   bool
		to, from string
	}{
		{"127.0.0.1:80", false, "127.0.0.1:80", "127.79.86.69"},
		{"192.0.2.1:80", false, "192.0.2.1:80", "127.79.86.69"},
		{"0.0.0.0:80", false, "127.0.0.1:80", "127.79.86.69"},
		{"[::]:80", false, "127.0.0.1:80", "127.79.86.69"},
		{"[::ffff:192.0.2.1]:80", false, "192.0.2.1:80", "127.79.86.69"},
		{"[::]:80", true, "[::1]:80", "::1"},
		{"[::1]:80", true, "[::1]:80", "::1"},
		{"[2001:db8::1]:80", true, "[2001:db8::1]:80", "2001:db8::1"},
	} {
		to, from := probeAddrs(netip.MustParseAddrPort(c.local), c.v6only)
		if to.String() != c.to || from.String() != c.from {
			t.Errorf("%s, v6only %v: to %v from %v, want to %s from %s", c.local, c.v6only, to, from, c.to, c.from)
		}
	}
}

// The kernel cuts every queue down to net.core.somaxconn.
func TestTheSelfTestSaysThatQueuesAreTooShort(t *testing.T) {
	inOwnNetwork(t, func(t *testing.T) {
		if err := os.WriteFile("/proc/sys/net/core/somaxconn", []byte("4"), 0); err != nil {
			t.Fatal(err)
		}
		if tier := selfTest(t.Context()); tier.Lossless || !strings.Contains(tier.Why, "raise net.core.somaxconn") {
			t.Errorf("it says %+v", tier)
		}
	})
}

// Only the connections that are under way may be taken for probes of our own.
func TestOnlyTheProbesUnderWayAreCaught(t *testing.T) {
	p := &prober{underWay: make(map[netip.AddrPort]bool)}
	from, also, other := netip.MustParseAddrPort("127.79.86.69:1"), netip.MustParseAddrPort("127.79.86.69:2"), netip.MustParseAddrPort("127.79.86.69:3")
	if p.caught(netip.AddrPort{}) || p.caught(from) {
		t.Error("caught one while none was under way")
	}
	p.begin(from)
	p.begin(also)
	if p.caught(other) {
		t.Error("caught another")
	}
	if got, want := p.end(), (look{others: 2}); got != want {
		t.Errorf("another was taken for ours: %+v, want %+v", got, want)
	}
	p.begin(from)
	p.begin(also)
	if !p.caught(also) {
		t.Error("ours was not caught")
	}
	if got, want := p.end(), (look{mine: 1, others: 1}); got != want {
		t.Errorf("%+v came to us, want %+v", got, want)
	}
	if p.caught(from) || p.caught(also) {
		t.Error("caught one that has ended")
	}
}

// A probe of another member is no connection for the service.
func TestTheServiceDoesNotSeeProbes(t *testing.T) {
	a := listening(t, "A", "tcp4", loopback)
	a.join(t)
	b := joined(t, "B", "tcp4", a.Addr().String())
	seen := make(chan net.Conn)
	go func() {
		defer close(seen)
		for {
			c, err := a.Accept()
			if err != nil {
				return
			}
			seen <- c
		}
	}()
	b.retire(t)
	if a.Accepted() < probes {
		t.Errorf("A accepted %d probes, want %d or more", a.Accepted(), probes)
	}
	c, err := greet(a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := <-seen
	defer got.Close()
	if got.RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("the service saw %v, the only client is %v", got.RemoteAddr(), c.LocalAddr())
	}
	a.Close()
	for c := range seen {
		t.Errorf("the service saw %v", c.RemoteAddr())
	}
}

// A port in TIME_WAIT cannot be listened on at every address.
func TestProbesLeaveNothingBehind(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	joined(t, "B", "tcp4", a.Addr().String())
	a.steer(t)
	// Either end of each, and of no other test's.
	port := fmt.Sprintf(":%04X", netip.MustParseAddrPort(a.Addr().String()).Port())
	eventually(t, "the probes are gone", func() bool {
		rows, err := os.ReadFile("/proc/self/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(strings.Split(string(rows), "\n"), func(row string) bool {
			col := strings.Fields(row)
			return len(col) > colState && col[colState] != stateListen &&
				(strings.HasSuffix(col[colLocal], port) || strings.HasSuffix(col[colLocal+1], port))
		})
	})
}

// A host that cannot steer accepts what is there, and leaves as politely as it can.
func TestAHostThatDoesNotSteerAcceptsWhatIsQueued(t *testing.T) {
	const n = 60
	first, err := openFirst(t.Context(), "tcp4", loopback, Config{})
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{network: "tcp4", addr: first.Addr(), queue: newQueue(), gone: make(chan struct{})}
	l.kernel = &unsteered{l: l}
	l.adopt(first)
	a := &member{Listener: l, name: "A"}
	all := waiting(t, a.Addr().String(), n)
	a.awaitPending(t, Pending{Queued: n - queueBound - 1})
	if !a.Alone() {
		t.Error("A does not see that it is alone")
	}
	b := serving(t, "B", "tcp4", a.Addr().String())
	if a.Alone() {
		t.Error("A does not see B")
	}
	a.retire(t)
	a.serve(t, a)
	all.hear().expect(t, n, "A")
	if !b.Alone() {
		t.Error("A has not left")
	}
}

func TestAHostThatDoesNotSteerAndDoesNotShowMayHaveSomebody(t *testing.T) {
	a := listening(t, "A", "tcp4", loopback)
	a.mu.Lock()
	socks := a.socks
	a.socks = []*socket{{inode: 1}}
	a.mu.Unlock()
	if others, err := (&unsteered{l: a.Listener}).others(); len(others) != 1 || err != nil {
		t.Errorf("%d others, %v", others, err)
	}
	a.mu.Lock()
	a.socks = socks
	a.mu.Unlock()
}
