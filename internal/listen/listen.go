// Package listen is the kernel's side of an instance: the listening sockets of
// one address, shared with other processes by SO_REUSEPORT.
//
// A [Listener] is a net.Listener that can also join the rotation and leave it
// without losing a connection: [Listener.Join], then, to leave, [Listener.Steer],
// [Listener.Settle] and [Listener.Leave], in this order. It knows nothing of
// HTTP and nothing of the states of an instance.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-reuseport"
)

// ErrMismatch is returned when the address would overlap with a listener of the
// same user without sharing with it. Linux allows that: the more specific or the
// newer one takes the connections of both, without a word.
var ErrMismatch = errors.New("address overlaps with another listener instead of sharing with it")

// Config says how to listen. The zero value works.
type Config struct {
	// AllowMismatch lets Listen go on where it would return ErrMismatch.
	AllowMismatch bool

	// Guard may refuse the port because of who listens on it already. It is asked before
	// anything has happened, but not of a port 0, nor where there is no /proc.
	Guard Guard
}

// Guard returns why an address must not be shared, or nil. group returns the inodes of the
// sockets that listen there at the moment, of our user.
type Guard func(addr string, group func() []uint64) error

// Tier is what this host offers: Lossless, or best effort with the reason why.
type Tier struct {
	Lossless bool
	Why      string
}

// Listener is the listening sockets of one address behind one net.Listener.
// Accept never returns an error because of a retirement: once the listener has
// left, it hands out what was accepted and then blocks until Close.
type Listener struct {
	network string
	addr    net.Addr
	tier    Tier
	kernel  kernel
	queue   *queue
	pumps   sync.WaitGroup
	watch   sync.WaitGroup
	caught  atomic.Int64 // probes of our own that came to us

	mu      sync.Mutex
	socks   []*socket
	joined  bool
	steered bool // by Steer, and not joined since: no connection should arrive
	left    bool
	gone    chan struct{} // closed when the listener leaves the group

	online func() ([]int, error) // the CPUs that may process packets
}

var _ net.Listener = (*Listener)(nil)

// socket is one listening socket and the CPU whose connections it is for.
type socket struct {
	*net.TCPListener
	cpu   int
	inode uint64

	starved atomic.Bool // the last accept failed for want of descriptors or memory
}

// Listen binds and listens on address. Beside members that are pinned the
// listener is dark until [Listener.Join]; the first one of a group is in
// rotation at once.
//
// Where the port is held by somebody who does not share it, the error names the
// holder and errors.Is(err, syscall.EADDRINUSE) holds. Where the address would
// overlap with a listener instead of sharing with it, the error is ErrMismatch.
func Listen(ctx context.Context, network, address string, cfg Config) (*Listener, error) {
	return listenFor(ctx, network, address, cfg, onlineCPUs)
}

// listenFor is Listen for the CPUs that online returns.
func listenFor(ctx context.Context, network, address string, cfg Config, online func() ([]int, error)) (*Listener, error) {
	first, err := openFirst(ctx, network, address, cfg)
	if err != nil {
		return nil, err
	}
	l := &Listener{network: network, addr: first.Addr(), queue: newQueue(), gone: make(chan struct{}), online: online}
	if l.kernel, l.tier, err = newKernel(ctx, l, first); err != nil {
		first.Close()
		return nil, err
	}
	l.adopt(first)
	if l.tier.Lossless {
		if err := l.cover(ctx); err != nil {
			l.Close()
			return nil, err
		}
		l.watch.Go(l.coverNewCPUs)
	}
	return l, nil
}

// open makes one socket that is bound, listening and shareable.
func open(ctx context.Context, network, address string) (*socket, error) {
	return openWith(ctx, network, address, reuseport.Control)
}

type control func(network, address string, c syscall.RawConn) error

func openWith(ctx context.Context, network, address string, beforeBind control) (*socket, error) {
	lc := net.ListenConfig{Control: beforeBind}
	// Go listens with MPTCP by default since 1.24, and such a socket refuses
	// options that steering needs (golang/go#56539).
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		ln.Close()
		return nil, fmt.Errorf("listen %s %s: only TCP ports can be shared", network, address)
	}
	s := &socket{TCPListener: tcp, cpu: anyCPU}
	if err := s.inspect(); err != nil {
		ln.Close()
		return nil, fmt.Errorf("listen %s %s: %w", network, address, err)
	}
	return s, nil
}

// adopt makes s one of the listener's sockets and accepts from it.
func (l *Listener) adopt(s *socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.adoptLocked(s)
}

func (l *Listener) adoptLocked(s *socket) {
	l.socks = append(l.socks, s)
	l.pumps.Go(func() { l.pump(s) })
}

func (l *Listener) sockets() []*socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*socket(nil), l.socks...)
}

// Accept returns the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.queue.pop()
		if errors.Is(err, net.ErrClosed) {
			return nil, &net.OpError{Op: "accept", Net: l.network, Addr: l.addr, Err: err}
		}
		if err != nil {
			return nil, err // of the socket's accept, which says all that
		}
		if remote(c).Addr() != probeSource {
			return c, nil
		}
		// Another member asks whether somebody here accepts. It is answered only
		// now, not in the pump, so that the answer comes from a living service.
		c.Close()
	}
}

// Addr returns the address, with the port that was chosen where 0 was asked for.
func (l *Listener) Addr() net.Addr { return l.addr }

// Tier says whether the listener can leave without a loss.
func (l *Listener) Tier() Tier { return l.tier }

// Accepted returns how many connections were accepted so far, queued ones included.
func (l *Listener) Accepted() int { return l.queue.accepted() }

// Asked is closed when Accept has been called: somebody is ready to serve.
func (l *Listener) Asked() <-chan struct{} { return l.queue.asked }

// Exhausted is closed when the listener has left and whoever calls Accept has
// come back for more than there is: every connection that was ever accepted is
// in the caller's hands. (A server that is back in Accept has registered the
// connection before.)
func (l *Listener) Exhausted() <-chan struct{} { return l.queue.exhausted }

// Close ends Accept, at once and for good. On a listener that has not left the
// group it closes the sockets as they are: what the kernel holds for them is reset.
func (l *Listener) Close() error {
	_, err := l.Leave()
	l.queue.close()
	return err
}

// pump accepts from one socket until it is closed.
func (l *Listener) pump(s *socket) {
	for delay := time.Duration(0); ; {
		c, err := s.AcceptTCP()
		s.starved.Store(outOfResources(err))
		if err == nil {
			delay = 0
			l.take(c)
			continue
		}
		if !outOfResources(err) {
			l.endPump(err)
			return
		}
		// The caller hears of it once for each failure; net/http logs it. The
		// pump goes on by itself: a retirement must not depend on the caller.
		l.queue.fail(err)
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		select {
		case <-time.After(delay):
		case <-l.gone:
		}
	}
}

// starved says whether one of the pumps cannot accept at the moment.
func (l *Listener) starved() bool {
	return slices.ContainsFunc(l.sockets(), func(s *socket) bool { return s.starved.Load() })
}

// outOfResources says whether accept may succeed again in a moment.
func outOfResources(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// remote is the peer's address, an IPv4 one as such on a dual-stack socket too.
func remote(c *net.TCPConn) netip.AddrPort {
	from, _ := c.RemoteAddr().(*net.TCPAddr)
	ap := from.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func (l *Listener) take(c *net.TCPConn) {
	if l.kernel.caught(remote(c)) {
		l.caught.Add(1)
		c.Close()
		return
	}
	l.queue.push(c)
}

// endPump passes on an error that nobody asked for by leaving.
func (l *Listener) endPump(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.left && !errors.Is(err, net.ErrClosed) {
		l.queue.fail(err)
	}
}
