package listen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two Listeners in one process are two members of a group: what tells them apart
// is the inodes of their sockets. So most tests need one process.

// member is a listener and its name.
type member struct {
	*Listener
	name string // one letter
}

// listening returns a member that nobody calls Accept of.
func listening(tb testing.TB, name, network, address string) *member {
	tb.Helper()
	return listeningFor(tb, name, network, address, onlineCPUs)
}

func listeningFor(tb testing.TB, name, network, address string, online func() ([]int, error)) *member {
	tb.Helper()
	l, err := listenFor(tb.Context(), network, address, Config{}, online)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	tb.Cleanup(func() { l.Close() })
	if !l.Tier().Lossless {
		tb.Fatalf("%s: this host does not steer: %s", name, l.Tier().Why)
	}
	return &member{Listener: l, name: name}
}

// serving returns a member that answers, and is dark beside pinned ones.
func serving(tb testing.TB, name, network, address string) *member {
	tb.Helper()
	m := listening(tb, name, network, address)
	m.serve(tb, m)
	return m
}

// joined returns a member that answers and is in rotation.
func joined(tb testing.TB, name, network, address string) *member {
	tb.Helper()
	m := serving(tb, name, network, address)
	m.join(tb)
	return m
}

// serve answers what ln, the member or a wrapper of it, hands out.
func (m *member) serve(tb testing.TB, ln net.Listener) {
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				go answer(c, m.name)
			}
		}
	})
	tb.Cleanup(func() {
		m.Close()
		accepting.Wait()
	})
}

// answer says the member's name to each greeting, until the client has gone. A
// probe greets nobody.
func answer(c net.Conn, name string) {
	defer c.Close()
	greeting := make([]byte, 1)
	for {
		if _, err := io.ReadFull(c, greeting); err != nil {
			return
		}
		if _, err := io.WriteString(c, name); err != nil {
			return
		}
	}
}

func (m *member) join(tb testing.TB) {
	tb.Helper()
	if err := m.Join(); err != nil {
		tb.Fatalf("%s joins: %v", m.name, err)
	}
}

func (m *member) steer(tb testing.TB) {
	tb.Helper()
	if err := m.Steer(); err != nil {
		tb.Fatalf("%s steers: %v", m.name, err)
	}
}

// settle settles for as long as a test may wait, and expects that it ends.
func (m *member) settle(tb testing.TB) (expired int) {
	tb.Helper()
	ctx, stop := context.WithTimeout(tb.Context(), 10*time.Second)
	defer stop()
	left, expired, err := m.Settle(ctx)
	if err != nil || left.sum() > 0 {
		tb.Fatalf("%s settles: %+v left, %v", m.name, left, err)
	}
	return expired
}

func (m *member) leave(tb testing.TB) {
	tb.Helper()
	abandoned, err := m.Leave()
	if err != nil || abandoned > 0 {
		tb.Fatalf("%s leaves: %d abandoned, %v", m.name, abandoned, err)
	}
}

// retire leaves as it should be done.
func (m *member) retire(tb testing.TB) {
	tb.Helper()
	m.steer(tb)
	if expired := m.settle(tb); expired != 0 {
		tb.Fatalf("%s: %d handshakes expired, all of them came to an end", m.name, expired)
	}
	m.leave(tb)
}

// die closes the sockets as the kernel does for a process that is killed: without
// steering, and without the shutdown that Leave begins with.
func (m *member) die(tb testing.TB) {
	tb.Helper()
	for _, s := range m.sockets() {
		if err := s.TCPListener.Close(); err != nil {
			tb.Fatalf("%s dies: %v", m.name, err)
		}
	}
	m.Close()
}

func (m *member) pending(tb testing.TB) Pending {
	tb.Helper()
	p, err := m.kernel.pending()
	if err != nil {
		tb.Fatalf("%s: %v", m.name, err)
	}
	return p
}

// awaitPending waits for the kernel to hold p for the member, which the client's
// side cannot know. The kernel reports no change of it, so this polls.
func (m *member) awaitPending(tb testing.TB, p Pending) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("the kernel holds %+v for %s", p, m.name), func() bool { return m.pending(tb) == p })
}

// incomingCPUs reads back what the sockets are pinned to.
func (m *member) incomingCPUs(tb testing.TB) (cpus []int) {
	tb.Helper()
	for _, s := range m.sockets() {
		err := s.control(func(fd int) error {
			cpu, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_INCOMING_CPU)
			cpus = append(cpus, cpu)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return cpus
}

// eventually polls for what neither the kernel nor the package sends an event.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	deadline := time.After(10 * time.Second)
	for !is() {
		select {
		case <-deadline:
			tb.Fatalf("not within 10 s: %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// lost is the name under which connections are counted that nobody answered.
const lost = "lost"

// landed counts connections by the name of the member that answered.
type landed map[string]int

func (got landed) add(more landed) {
	for name, n := range more {
		got[name] += n
	}
}

// expect fails unless all n connections were answered, by the members with these
// one-letter names and nobody else, and by each of them.
func (got landed) expect(tb testing.TB, n int, names string) {
	tb.Helper()
	total := 0
	for _, count := range got {
		total += count
	}
	answered := slices.Sorted(maps.Keys(got))
	if total != n || !slices.Equal(answered, slices.Sorted(slices.Values(strings.Split(names, "")))) {
		tb.Fatalf("%d connections landed at %v, want all %d of them at %q and each to have some", total, got, n, names)
	}
}

const (
	dialPatience   = 5 * time.Second
	answerPatience = 5 * time.Second
)

// greet connects and says hello.
func greet(to string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", to, dialPatience)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(c, "?")
	return c, err
}

// hear returns the name of who answers and ends the connection, with a RST, so
// that thousands of them leave nothing behind.
func hear(c net.Conn) string {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(answerPatience))
	name := make([]byte, 1)
	if _, err := io.ReadFull(c, name); err != nil {
		return lost
	}
	c.(*net.TCPConn).SetLinger(0)
	return string(name)
}

// land makes n connections, one after the other on each CPU, and returns who
// answered them. It gives up on a CPU where one was lost.
func land(tb testing.TB, to string, n int) landed {
	tb.Helper()
	var mu sync.Mutex
	got := make(landed)
	onEachCPU(tb, n, func(share int) error {
		here := make(landed)
		for i := range share {
			if here[lost] > 0 {
				here[lost] += share - i
				break
			}
			c, err := greet(to)
			if err != nil {
				here[lost]++
				continue
			}
			here[hear(c)]++
		}
		mu.Lock()
		defer mu.Unlock()
		maps.DeleteFunc(here, func(_ string, n int) bool { return n == 0 })
		got.add(here)
		return nil
	})
	return got
}

// onEachCPU splits n among the CPUs that this process may run on, and runs f on
// all of them at the same time.
func onEachCPU(tb testing.TB, n int, f func(share int) error) {
	tb.Helper()
	cpus, err := allowedCPUs()
	if err != nil {
		tb.Fatal(err)
	}
	errs := make([]error, len(cpus))
	var wg sync.WaitGroup
	for i, cpu := range cpus {
		share := n/len(cpus) + min(1, max(0, n%len(cpus)-i))
		wg.Go(func() { errs[i] = onCPU(cpu, func() error { return f(share) }) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
}

// clients are connections that are open and wait.
type clients []net.Conn

// waiting opens n connections that have said hello, from all CPUs.
func waiting(tb testing.TB, to string, n int) clients {
	tb.Helper()
	return opened(tb, n, func() (net.Conn, error) { return greet(to) })
}

// silent opens n connections that have said nothing.
func silent(tb testing.TB, to string, n int) clients {
	tb.Helper()
	return opened(tb, n, func() (net.Conn, error) { return net.DialTimeout("tcp", to, dialPatience) })
}

func opened(tb testing.TB, n int, dial func() (net.Conn, error)) (all clients) {
	tb.Helper()
	var mu sync.Mutex
	onEachCPU(tb, n, func(share int) error {
		for range share {
			c, err := dial()
			if err != nil {
				return err
			}
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
		}
		return nil
	})
	tb.Cleanup(func() {
		for _, c := range all {
			c.Close()
		}
	})
	return all
}

// speak says hello on connections that have been silent. A reset shows later.
func (all clients) speak() {
	for _, c := range all {
		io.WriteString(c, "?")
	}
}

// hear waits for all answers.
func (all clients) hear() landed {
	var mu sync.Mutex
	got := make(landed)
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() {
			name := hear(c)
			mu.Lock()
			defer mu.Unlock()
			got[name]++
		})
	}
	wg.Wait()
	return got
}
