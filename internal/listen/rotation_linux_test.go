package listen

import (
	"errors"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Broken on purpose, and seen red (tests by how their names begin):
//   - a new socket is pinned without Join: ALaterMember, ARandomWalk
//   - Join pins nothing: ALaterMember, AMemberThatIsTakenBack, EveryFamily, ARandomWalk
//   - unpin does nothing and Steer does not look: AMemberThatSteers, EveryFamily, ARandomWalk
//   - a failed Steer pins a dark member: AfterASteerThatFailed, SteerPutsBack
//   - a failed Steer stays out: ASuccessorThatCoversOneCPUOnly, SteerPutsBack
//   - taken back, a handshake keeps its 7 s: AMemberThatIsTakenBack
//   - Steer does not see that it is alone: AMemberThatIsAlone, EveryFamily, OfTwoThatRetireAtOnce
//   - the sockets of others are not counted: AMemberThatSteers, AMemberLeaves
//   - those of another address are: AnIPv6OnlyListener, TheGroupIsSplit
//   - Accept fails when the sockets are closed: AfterLeave
//   - exhausted as soon as it has left: AfterLeave, AQueueIsExhausted
//   - never asked: AfterLeave
//   - a v6only group is probed over IPv4: EveryFamily, WhereAListenerIsProbed
//   - MPTCP as Go does by default: TheFirstMember, AMemberThatSteers

const loopback = "127.0.0.1:0"

func TestTheFirstMemberIsInRotationFromListenOn(t *testing.T) {
	a := serving(t, "A", "tcp4", loopback)
	land(t, a.Addr().String(), 100).expect(t, 100, "A")
}

func TestALaterMemberGetsNothingUntilItJoins(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := serving(t, "B", "tcp4", a.Addr().String())
	land(t, a.Addr().String(), 200).expect(t, 200, "A")
	b.join(t)
	land(t, a.Addr().String(), 200).expect(t, 200, "AB")
}

func TestAMemberThatSteersGetsNothing(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	joined(t, "B", "tcp4", a.Addr().String())
	a.steer(t)
	land(t, a.Addr().String(), 300).expect(t, 300, "B")
}

func TestAMemberThatIsTakenBackGetsItsShareAgain(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	joined(t, "B", "tcp4", a.Addr().String())
	a.steer(t)
	if got := handshakeRetries(t, a); slices.Max(got) != retiringRetries {
		t.Errorf("retiring: a SYN-ACK is repeated %v times, want %d", got, retiringRetries)
	}
	a.join(t)
	land(t, a.Addr().String(), 200).expect(t, 200, "AB")
	if got := handshakeRetries(t, a); slices.Min(got) != defaultRetries {
		t.Errorf("taken back: a SYN-ACK is repeated %v times, want %d", got, defaultRetries)
	}
}

func TestAMemberLeavesWithoutALossAndTheOtherIsAlone(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := joined(t, "B", "tcp4", a.Addr().String())
	if a.Alone() || b.Alone() {
		t.Error("one of two is alone")
	}
	// Connections are made all the time, and each of them must be answered.
	stop := make(chan struct{})
	all := make(chan landed)
	go func() {
		got := make(landed)
		for {
			select {
			case <-stop:
				all <- got
				return
			default:
				got.add(land(t, a.Addr().String(), 10))
			}
		}
	}()
	eventually(t, "A has served", func() bool { return a.Accepted() > 20 })
	a.retire(t)
	close(stop)
	got := <-all
	if got[lost] != 0 || got["A"] == 0 || got["B"] == 0 {
		t.Errorf("connections landed at %v", got)
	}
	land(t, a.Addr().String(), 200).expect(t, 200, "B")
	if !b.Alone() {
		t.Error("B is not alone after A has left")
	}
}

func TestAMemberThatIsAloneDoesNotSteer(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	if err := a.Steer(); !errors.Is(err, ErrAlone) {
		t.Errorf("steers, and got %v", err)
	}
	land(t, a.Addr().String(), 50).expect(t, 50, "A")
}

// A failed Steer must neither take a member out nor put a dark one in.
func TestAfterASteerThatFailedEverythingIsAsBefore(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := serving(t, "B", "tcp4", a.Addr().String())
	c := serving(t, "C", "tcp4", a.Addr().String())
	if err := a.Steer(); err == nil || errors.Is(err, ErrAlone) {
		t.Errorf("A steers beside dark members only, and got %v", err)
	}
	land(t, a.Addr().String(), 100).expect(t, 100, "A")
	a.die(t)
	if err := b.Steer(); err == nil || errors.Is(err, ErrAlone) {
		t.Errorf("B steers while nobody is pinned, and got %v", err)
	}
	if got := b.incomingCPUs(t); slices.Max(got) != anyCPU {
		t.Errorf("B never joined and is pinned to CPUs %v", got)
	}
	land(t, a.Addr().String(), 200).expect(t, 200, "BC")
	c.join(t)
	land(t, a.Addr().String(), 100).expect(t, 100, "C")
}

func TestAfterLeaveAcceptHandsOutWhatIsQueuedAndThenBlocksUntilClose(t *testing.T) {
	const n = 40
	a := listening(t, "A", "tcp4", loopback)
	a.join(t)
	all := waiting(t, a.Addr().String(), n)
	joined(t, "B", "tcp4", a.Addr().String())
	if isClosed(a.Asked()) {
		t.Error("asked before anybody called Accept")
	}
	a.retire(t)
	for range n {
		c, err := a.Accept()
		if err != nil {
			t.Fatalf("Accept after Leave: %v", err)
		}
		if isClosed(a.Exhausted()) {
			t.Fatal("exhausted with connections to hand out")
		}
		go answer(c, a.name)
	}
	all.hear().expect(t, n, "A")
	if !isClosed(a.Asked()) {
		t.Error("not asked after Accept")
	}
	if isClosed(a.Exhausted()) {
		t.Error("exhausted before anybody came back for more")
	}
	ended := make(chan error)
	go func() {
		_, err := a.Accept()
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Fatalf("Accept returned %v because of a retirement", err)
	case <-a.Exhausted():
	}
	a.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

// An Accept that waits already when the listener leaves has come for more, too.
func TestAnAcceptThatWaitsWhenTheListenerLeavesExhaustsIt(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	joined(t, "B", "tcp4", a.Addr().String())
	<-a.Asked()
	if isClosed(a.Exhausted()) {
		t.Error("exhausted while it serves")
	}
	a.retire(t)
	<-a.Exhausted()
}

func TestEveryFamilyIsLeftWithoutALoss(t *testing.T) {
	for _, f := range []struct {
		name, network, address string
		reach                  []string
	}{
		{"IPv4", "tcp4", "127.0.0.1:0", []string{"127.0.0.1"}},
		{"every IPv4", "tcp4", "0.0.0.0:0", []string{"127.0.0.1", "127.1.2.3"}},
		{"every IPv4 by tcp", "tcp", "0.0.0.0:0", []string{"127.0.0.1"}},
		{"dual stack", "tcp", ":0", []string{"127.0.0.1", "::1"}},
		{"dual stack by address", "tcp", "[::]:0", []string{"127.0.0.1", "::1"}},
		{"IPv6", "tcp6", "[::1]:0", []string{"::1"}},
		{"every IPv6", "tcp6", "[::]:0", []string{"::1"}},
		{"IPv6 by tcp", "tcp", "[::1]:0", []string{"::1"}},
	} {
		t.Run(f.name, func(t *testing.T) {
			needFamilies(t, f.reach)
			a := joined(t, "A", f.network, f.address)
			_, port, _ := net.SplitHostPort(a.Addr().String())
			expect := func(names string) {
				t.Helper()
				for _, host := range f.reach {
					land(t, net.JoinHostPort(host, port), 80).expect(t, 80, names)
				}
			}
			expect("A")
			b := serving(t, "B", f.network, a.Addr().String())
			expect("A")
			b.join(t)
			expect("AB")
			a.steer(t)
			expect("B")
			a.join(t)
			expect("AB")
			a.retire(t)
			expect("B")
			if err := b.Steer(); !errors.Is(err, ErrAlone) {
				t.Errorf("the last one steers, and got %v", err)
			}
			expect("B")
		})
	}
}

func TestAnIPv6OnlyListenerLeavesIPv4ToOthers(t *testing.T) {
	needFamilies(t, []string{"::1"})
	a := joined(t, "A", "tcp6", "[::]:0")
	_, port, _ := net.SplitHostPort(a.Addr().String())
	b := joined(t, "B", "tcp4", "0.0.0.0:"+port)
	land(t, "127.0.0.1:"+port, 50).expect(t, 50, "B")
	land(t, "[::1]:"+port, 50).expect(t, 50, "A")
	if !a.Alone() || !b.Alone() {
		t.Error("two families of one port are not two groups")
	}
}

// handshakeRetries reads TCP_SYNCNT back.
func handshakeRetries(tb testing.TB, m *member) (retries []int) {
	tb.Helper()
	for _, s := range m.sockets() {
		err := s.control(func(fd int) error {
			n, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT)
			retries = append(retries, n)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return retries
}

func needFamilies(tb testing.TB, hosts []string) {
	tb.Helper()
	for _, host := range hosts {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			tb.Skipf("this host has no %s: %v", host, err)
		}
		ln.Close()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
