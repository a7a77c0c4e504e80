package listen

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Broken on purpose, and seen red:
//   - a probe is content with a connection: ASuccessorThatNeverAccepts, -WhoseQueueIsFull, -WhoseBacklogIsFull
//   - no look before unpinning: ASuccessorThatIsNotReady
//   - no look after it: ASuccessorThatCoversOneCPUOnly, OfTwoThatRetireAtOnce, InALargeGroup
//   - the probes of a volley share one patience: ASuccessorThatAcceptsOneByOne
//   - a volley that fails is not asked again one by one: ASuccessorWhoseBacklogIsFull
//   - 16 probes whatever the group: InALargeGroup
//   - every connection is caught, or none: ASuccessorThatCoversOneCPUOnly, AMemberLeaves, OnlyTheProbesUnderWay
//   - unpin does nothing and Steer does not look: TwoThatRetireAtOnce, OfTwoThatRetireAtOnce
//   - a CPU that appears is not covered, not pinned, or pinned while steered: ACPUThatAppears
//   - nobody looks for new CPUs: AListenerLooksForNewCPUs

// stuck expects that m does not find a successor, soon, and is in rotation still.
func (m *member) stuck(tb testing.TB, reason string) {
	tb.Helper()
	began := time.Now()
	err := m.Steer()
	if err == nil || errors.Is(err, ErrAlone) {
		tb.Fatalf("%s steers, and got %v", m.name, err)
	}
	if !strings.Contains(err.Error(), reason) {
		tb.Errorf("%s steers, and got %q, which does not say %q", m.name, err, reason)
	}
	if took := time.Since(began); took > 2*patience {
		tb.Errorf("%s gave up after %v", m.name, took)
	}
	if got := m.incomingCPUs(tb); slices.Min(got) == anyCPU {
		tb.Errorf("%s is not in rotation any more: %v", m.name, got)
	}
}

func TestASuccessorThatNeverAcceptsIsNotSteeredTo(t *testing.T) {
	t.Parallel() // it waits for a second
	a := joined(t, "A", "tcp4", loopback)
	b := listening(t, "B", "tcp4", a.Addr().String())
	b.join(t)
	a.stuck(t, "does not accept")
	b.serve(t, b)
	land(t, a.Addr().String(), 100).expect(t, 100, "AB")
	a.retire(t)
	land(t, a.Addr().String(), 100).expect(t, 100, "B")
}

// Patience is for one connection: that several are under way must not make us less patient
// with a member that has them all.
func TestASuccessorThatAcceptsOneByOneIsAlive(t *testing.T) {
	t.Parallel() // it takes three times what one connection may
	ln, err := net.Listen("tcp4", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for every := time.Tick(3 * hurry / volley); ; <-every {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	p, err := newProber(netip.MustParseAddrPort(ln.Addr().String()), false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if seen, err := p.volley(p.fds, hurry); err != nil || seen != (look{others: volley}) {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestASuccessorWhoseQueueIsFullIsNotSteeredTo(t *testing.T) {
	t.Parallel() // it waits for a second
	const n = queueBound + 20
	a := serving(t, "A", "tcp4", loopback)
	b := listening(t, "B", "tcp4", a.Addr().String())
	b.join(t)
	all := waiting(t, a.Addr().String(), n)
	eventually(t, "B has accepted as many as it wants", func() bool { return b.Accepted() == queueBound })
	a.join(t)
	a.stuck(t, "does not accept")
	b.serve(t, b)
	all.hear().expect(t, n, "B")
	a.retire(t)
	land(t, a.Addr().String(), 100).expect(t, 100, "B")
}

// The kernel drops the SYN where the accept queue is full: the probe does not even
// connect.
func TestASuccessorWhoseBacklogIsFullIsNotSteeredTo(t *testing.T) {
	t.Parallel() // it waits for a second
	a := serving(t, "A", "tcp4", loopback)
	b := listening(t, "B", "tcp4", a.Addr().String())
	b.join(t)
	var all clients
	all = append(all, waiting(t, a.Addr().String(), queueBound)...)
	eventually(t, "B has accepted as many as it wants", func() bool { return b.Accepted() == queueBound })
	// Each pump holds one more, and listen(2) with 1 means two.
	for _, s := range b.sockets() {
		if err := s.control(func(fd int) error { return unix.Listen(fd, 1) }); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range b.sockets() {
		for range 3 {
			err := onCPU(s.cpu, func() error {
				c, err := greet(a.Addr().String())
				all = append(all, c)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	b.awaitPending(t, Pending{Queued: 2 * len(b.sockets())})
	a.join(t)
	a.stuck(t, "does not accept")
	b.serve(t, b)
	all.hear().expect(t, len(all), "B")
	a.retire(t)
	land(t, a.Addr().String(), 50).expect(t, 50, "B")
}

func TestASuccessorThatIsNotReadyIsNotSteeredTo(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := serving(t, "B", "tcp4", a.Addr().String())
	a.stuck(t, "nobody else is in rotation")
	land(t, a.Addr().String(), 100).expect(t, 100, "A")
	b.join(t)
	a.retire(t)
}

func TestASuccessorThatCoversOneCPUOnlyIsNotSteeredTo(t *testing.T) {
	needCPUs(t, 2)
	a := joined(t, "A", "tcp4", loopback)
	b := listeningFor(t, "B", "tcp4", a.Addr().String(), func() ([]int, error) { return []int{0}, nil })
	b.serve(t, b)
	b.join(t)
	a.stuck(t, "still reach this instance: no other member is pinned to each CPU")
	land(t, a.Addr().String(), 200).expect(t, 200, "AB")
}

// Where nobody is pinned the kernel hashes over all: in a large group a member must
// look closely to see that its small share still reaches it.
func TestInALargeGroupOfDarkMembersNobodySteers(t *testing.T) {
	a := serving(t, "A", "tcp4", loopback)
	for _, name := range []string{"B", "C", "D", "E", "F"} {
		serving(t, name, "tcp4", a.Addr().String())
	}
	for range 30 {
		if err := a.Steer(); err == nil {
			t.Fatal("A steers, and nobody else is pinned")
		}
	}
	land(t, a.Addr().String(), 240).expect(t, 240, "ABCDEF")
}

// A successor that crashes while the other settles: nothing comes to the one that
// steered as long as a third is pinned, and if none is it serves on.
func TestASuccessorThatDiesLeavesTheOthersServing(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := joined(t, "B", "tcp4", a.Addr().String())
	c := joined(t, "C", "tcp4", a.Addr().String())
	a.steer(t)
	b.die(t)
	land(t, a.Addr().String(), 100).expect(t, 100, "C")
	c.die(t)
	land(t, a.Addr().String(), 100).expect(t, 100, "A")
	if !a.Alone() {
		t.Error("A does not see that it is alone")
	}
	a.join(t)
	land(t, a.Addr().String(), 100).expect(t, 100, "A")
}

func TestTwoThatRetireAtOnceLeaveTheThirdEverything(t *testing.T) {
	a := joined(t, "A", "tcp4", loopback)
	b := joined(t, "B", "tcp4", a.Addr().String())
	joined(t, "C", "tcp4", a.Addr().String())
	var both sync.WaitGroup
	errs := make(chan error, 2)
	for _, m := range []*member{a, b} {
		both.Go(func() { errs <- m.Steer() })
	}
	both.Wait()
	for range 2 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	land(t, a.Addr().String(), 200).expect(t, 200, "C")
	for _, m := range []*member{a, b} {
		both.Go(func() {
			m.settle(t)
			m.leave(t)
		})
	}
	both.Wait()
	land(t, a.Addr().String(), 200).expect(t, 200, "C")
}

func TestOfTwoThatRetireAtOnceWithoutAThirdAtMostOneLeaves(t *testing.T) {
	for range 5 {
		a := joined(t, "A", "tcp4", loopback)
		b := joined(t, "B", "tcp4", a.Addr().String())
		members := []*member{a, b}
		errs := make([]error, 2)
		var both sync.WaitGroup
		for i, m := range members {
			both.Go(func() { errs[i] = m.Steer() })
		}
		both.Wait()
		stays := b
		switch {
		case errs[0] == nil && errs[1] == nil:
			t.Fatal("both steered to each other")
		case errs[0] != nil && errs[1] != nil:
			land(t, a.Addr().String(), 100).expect(t, 100, "AB")
			a.steer(t)
		case errs[1] == nil:
			a, stays = b, a
		}
		a.settle(t)
		a.leave(t)
		if err := stays.Steer(); !errors.Is(err, ErrAlone) {
			t.Errorf("the last one steers, and got %v", err)
		}
		land(t, stays.Addr().String(), 100).expect(t, 100, stays.name)
		stays.Close()
	}
}

// online is a list of CPUs that grows.
type online struct{ cpus atomic.Pointer[[]int] }

func (o *online) set(cpus ...int) { o.cpus.Store(&cpus) }

func (o *online) read() ([]int, error) { return *o.cpus.Load(), nil }

func TestACPUThatAppearsIsCovered(t *testing.T) {
	needCPUs(t, 2)
	for _, c := range []struct {
		state  string
		before func(a, b *member)
		want   []int
		land   string
	}{
		{"joined", func(a, b *member) { a.join(t) }, []int{0, 1}, "AB"},
		{"dark", func(a, b *member) {}, []int{anyCPU, anyCPU}, "B"},
		{"steered", func(a, b *member) { a.join(t); a.steer(t) }, []int{anyCPU, anyCPU}, "B"},
		{"taken back", func(a, b *member) { a.join(t); a.steer(t); a.join(t) }, []int{0, 1}, "AB"},
	} {
		t.Run(c.state, func(t *testing.T) {
			var cpus online
			cpus.set(0)
			a := listeningFor(t, "A", "tcp4", loopback, cpus.read)
			a.serve(t, a)
			b := joined(t, "B", "tcp4", a.Addr().String())
			if got := a.incomingCPUs(t); len(got) != 1 {
				t.Fatalf("with one CPU it has sockets for %v", got)
			}
			c.before(a, b)
			cpus.set(0, 1)
			for range 2 { // the second time there is nothing to do
				if err := a.cover(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := a.incomingCPUs(t); !slices.Equal(got, c.want) {
				t.Errorf("the sockets are pinned to %v, want %v", got, c.want)
			}
			land(t, a.Addr().String(), 200).expect(t, 200, c.land)
		})
	}
}

func TestAListenerLooksForNewCPUsByItself(t *testing.T) {
	needCPUs(t, 2)
	t.Parallel() // it looks every 2 s
	var cpus online
	cpus.set(0)
	a := listeningFor(t, "A", "tcp4", loopback, cpus.read)
	a.join(t)
	cpus.set(0, 1)
	eventually(t, "A covers both CPUs", func() bool { return slices.Equal(a.incomingCPUs(t), []int{0, 1}) })
}

func TestTheListOfCPUsIsRequired(t *testing.T) {
	unreadable := errors.New("unreadable")
	_, err := listenFor(t.Context(), "tcp4", loopback, Config{}, func() ([]int, error) { return nil, unreadable })
	if !errors.Is(err, unreadable) {
		t.Errorf("got %v", err)
	}
}

func needCPUs(tb testing.TB, n int) {
	tb.Helper()
	cpus, err := allowedCPUs()
	if err != nil {
		tb.Fatal(err)
	}
	for cpu := range n {
		if !slices.Contains(cpus, cpu) {
			tb.Skipf("needs CPUs 0 to %d, this process may run on %v", n-1, cpus)
		}
	}
}
