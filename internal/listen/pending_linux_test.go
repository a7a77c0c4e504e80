package listen

import (
	"context"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Broken on purpose, and seen red:
//   - the queue stays bounded in a retirement: WhatIsQueuedInTheKernel (hangs)
//   - pending is the accept queue alone: SettleWaits, ClosingAtOnceLosesHalfOpen
//   - Settle does not wait: SettleWaits, SettleTells
//   - Leave counts nothing: LeaveCounts
//   - expired is what was pending: SettleWaits, SettleTells

// unasked returns a member in rotation with n connections that nobody has asked
// for, and how many of them it has left to the kernel: the queue is bounded, and
// each pump holds one more.
func unasked(tb testing.TB, n int) (a *member, all clients, inKernel int) {
	tb.Helper()
	a = listening(tb, "A", "tcp4", loopback)
	a.join(tb)
	all = waiting(tb, a.Addr().String(), n)
	cpus, err := allowedCPUs()
	if err != nil {
		tb.Fatal(err)
	}
	inKernel = n - queueBound - len(cpus)
	a.awaitPending(tb, Pending{Queued: inKernel})
	return a, all, inKernel
}

func TestWhatIsQueuedInTheKernelIsHandedOut(t *testing.T) {
	const n = 200
	a, all, _ := unasked(t, n)
	joined(t, "B", "tcp4", a.Addr().String())
	a.retire(t)
	if got := a.Accepted(); got != n {
		t.Errorf("accepted %d of %d", got, n)
	}
	a.serve(t, a)
	all.hear().expect(t, n, "A")
}

func TestClosingAtOnceLosesWhatIsQueuedInTheKernel(t *testing.T) {
	const n = 200
	a, all, inKernel := unasked(t, n)
	joined(t, "B", "tcp4", a.Addr().String())
	for _, s := range a.sockets() {
		s.TCPListener.Close()
	}
	a.serve(t, a)
	all.hear().expectLost(t, n, inKernel)
}

// Leave without Settle is the same loss, and says how much.
func TestLeaveCountsWhatItAbandons(t *testing.T) {
	const n = 2000
	a, all, _ := unasked(t, n)
	abandoned, err := a.Leave()
	if err != nil {
		t.Fatal(err)
	}
	a.serve(t, a)
	got := all.hear()
	if abandoned == 0 || got[lost] == 0 {
		t.Errorf("%d abandoned, %v: Leave settled by itself", abandoned, got)
	}
	if got[lost] > abandoned {
		t.Errorf("%d abandoned, but %d lost", abandoned, got[lost])
	}
	if got["A"]+got[lost] != n {
		t.Errorf("%v of %d", got, n)
	}
}

// expectLost fails unless n connections were made and exactly this many lost.
func (got landed) expectLost(tb testing.TB, n, want int) {
	tb.Helper()
	if got[lost] != want || got["A"]+got[lost] != n || want == 0 {
		tb.Errorf("of %d connections %v, want %d lost", n, got, want)
	}
}

// deferring makes the kernel hold handshakes until the client has spoken: they
// stay half-open for as long as the test wants. A probe, which says nothing, must
// not get there: so a is in rotation by being the first, and never pinned.
func deferring(tb testing.TB, a *member) {
	tb.Helper()
	for _, s := range a.sockets() {
		err := s.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 30) })
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func TestSettleWaitsForHalfOpenHandshakes(t *testing.T) {
	const n = 10
	a := serving(t, "A", "tcp4", loopback)
	deferring(t, a)
	all := silent(t, a.Addr().String(), n)
	a.awaitPending(t, Pending{HalfOpen: n})
	joined(t, "B", "tcp4", a.Addr().String())
	a.steer(t)
	accepted := a.Accepted()

	over, cancel := context.WithCancel(t.Context())
	cancel()
	left, expired, err := a.Settle(over)
	if err != nil || expired != 0 || left != (Pending{HalfOpen: n}) {
		t.Fatalf("settled with %+v left, %d expired, %v; want %d half-open", left, expired, err, n)
	}

	settled := make(chan int)
	go func() { settled <- a.settle(t) }()
	all[:n-1].speak()
	eventually(t, "all but one are accepted", func() bool { return a.Accepted() == accepted+n-1 })
	select {
	case <-settled:
		t.Fatal("settled with one half-open")
	default:
	}
	all[n-1:].speak()
	if expired := <-settled; expired != 0 {
		t.Errorf("%d expired, but all of them came to an end", expired)
	}
	a.leave(t)
	all.hear().expect(t, n, "A")
}

func TestClosingAtOnceLosesHalfOpenHandshakes(t *testing.T) {
	const n = 10
	a := serving(t, "A", "tcp4", loopback)
	deferring(t, a)
	all := silent(t, a.Addr().String(), n)
	a.awaitPending(t, Pending{HalfOpen: n})
	joined(t, "B", "tcp4", a.Addr().String())
	a.steer(t)
	if _, err := a.Leave(); err != nil {
		t.Fatal(err)
	}
	all.speak()
	all.hear().expectLost(t, n, n)
}

// limited is a listener that hands out so many connections at a time, as
// netutil.LimitListener does: at its limit nobody calls Accept.
type limited struct {
	net.Listener
	free chan struct{}
	done chan struct{}
}

func limit(ln net.Listener, n int) *limited {
	return &limited{Listener: ln, free: make(chan struct{}, n), done: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.free })}, nil
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

func TestAServiceAtItsLimitLosesNothing(t *testing.T) {
	const n, limitAt = 60, 3
	a := listening(t, "A", "tcp4", loopback)
	a.join(t)
	ln := limit(a, limitAt)
	a.serve(t, ln)
	t.Cleanup(func() { close(ln.done) })
	all := waiting(t, a.Addr().String(), n)
	eventually(t, "A is at its limit", func() bool {
		return len(ln.free) == limitAt && a.Accepted() == queueBound+limitAt && a.pending(t).Queued > 0
	})
	joined(t, "B", "tcp4", a.Addr().String())
	a.retire(t)
	all.hear().expect(t, n, "A")
}
