package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// kernel is what a listener asks of the system, and all that it asks. There is
// one for hosts that steer by SO_INCOMING_CPU and one for hosts that do not
// steer; a classic BPF program would be a third.
type kernel interface {
	// in puts the sockets into the rotation of their group.
	in() error
	// away takes them out, for good. After it returned nil the kernel begins no
	// connection with us any more; after an error we may be half out.
	away() error
	// rest takes them out without looking, and not for good.
	rest() error
	// knock makes new connections until one comes to us, of which it takes note.
	knock() error
	// pending says what the kernel still holds for us.
	pending() (Pending, error)
	// others returns the sockets of the group that are not ours, by inode. One that is 0
	// stands for somebody who may be there.
	others() ([]uint64, error)
	// standing is pending and others in one look, for who asks often.
	standing() (Pending, []uint64, error)
	// caught says whether a connection from this address is one that away made.
	caught(from netip.AddrPort) bool
	// release gives back what was kept for a retirement.
	release()
}

// Pending is what the kernel holds for a listener: handshakes that are not
// complete, and connections that are complete but not accepted.
type Pending struct {
	HalfOpen int
	Queued   int
}

func (p Pending) sum() int { return p.HalfOpen + p.Queued }

var (
	// ErrAlone is returned by Steer when nobody else listens in the group.
	ErrAlone = errors.New("nobody else listens on the port")
	// ErrReached is returned by Settle when new connections arrived after Steer: on a
	// CPU that is hidden from us, and from the others.
	ErrReached = errors.New("new connections still reach this instance")
)

// The pace at which Settle looks. A look costs a few milliseconds of CPU on a
// host with few connections: the kernel walks its hash table of them.
const (
	minPoll = 5 * time.Millisecond
	maxPoll = 50 * time.Millisecond
)

// Join puts the listener into the rotation, and takes a Steer back. It returns
// net.ErrClosed when the listener has left.
func (l *Listener) Join() error {
	if l.hasLeft() {
		return net.ErrClosed
	}
	l.setJoined(true)
	l.queue.setUnbounded(false)
	return l.kernel.in()
}

// Rest ends what Steer has begun, but stays out of the rotation: the listener is dark. Where
// the others die, connections come to it. It returns net.ErrClosed when the listener has left.
func (l *Listener) Rest() error {
	if l.hasLeft() {
		return net.ErrClosed
	}
	l.setJoined(false)
	l.queue.setUnbounded(false)
	return l.kernel.rest()
}

// setJoined also decides for the socket of a CPU that appears from now on.
func (l *Listener) setJoined(joined bool) (before bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.joined = l.joined, joined
	l.steered = false
	return before
}

func (l *Listener) setSteered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steered = l.tier.Lossless
}

func (l *Listener) hasLeft() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left
}

func (l *Listener) isSteered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.steered
}

// Steer makes new connections go to the other members of the group. It returns
// ErrAlone where there are none, and another error where none of them takes
// over; then nothing has changed; net.ErrClosed when the listener has left. From Steer on connections are accepted without
// bound, whether or not anybody calls Accept.
func (l *Listener) Steer() error {
	if l.hasLeft() {
		return net.ErrClosed
	}
	others, err := l.kernel.others()
	if err != nil {
		return err
	}
	if len(others) == 0 {
		return ErrAlone
	}
	l.queue.setUnbounded(true)
	joined := l.setJoined(false)
	err = l.kernel.away()
	switch {
	case err != nil && joined:
		return errors.Join(err, l.Join())
	case err != nil:
		l.queue.setUnbounded(false)
	default:
		l.setSteered()
	}
	return err
}

// Alone says whether nobody else listens in the group.
func (l *Listener) Alone() bool {
	others, err := l.kernel.others()
	return err == nil && len(others) == 0
}

// Settle accepts until the kernel holds nothing for the listener, or ctx ends.
// It returns what is left, and how many handshakes expired because their client
// never came back. Where Steer has succeeded but connections keep arriving, it
// returns ErrReached.
func (l *Listener) Settle(ctx context.Context) (left Pending, expired int, err error) {
	l.queue.setUnbounded(true)
	first, accepted, err := l.stablePending()
	if err != nil {
		return first, 0, err
	}
	if left, err = l.awaitNothing(ctx, first); err != nil {
		return left, 0, err
	}
	missing := first.sum() - left.sum() - (l.Accepted() - accepted)
	if missing > 0 {
		// A pump may hold a connection that it has not counted yet.
		time.Sleep(maxPoll)
		missing = first.sum() - left.sum() - (l.Accepted() - accepted)
	}
	// Each pump may have held one, too, when we began to count.
	if l.isSteered() && -missing > len(l.sockets()) {
		return left, 0, ErrReached
	}
	return left, max(0, missing), nil
}

// awaitNothing returns when nothing is pending any more, or when ctx ends.
func (l *Listener) awaitNothing(ctx context.Context, left Pending) (Pending, error) {
	for poll := minPoll; left.sum() > 0; poll = min(2*poll, maxPoll) {
		select {
		case <-ctx.Done():
			return left, nil
		case <-time.After(poll):
		}
		var err error
		if left, err = l.kernel.pending(); err != nil {
			return left, err
		}
	}
	return left, nil
}

// stablePending reads what is pending together with how many were accepted by
// then. It looks until two looks agree, a few times: ref counts a packet too that
// is just being processed, and a connection may be accepted in between.
func (l *Listener) stablePending() (p Pending, accepted int, err error) {
	for range 5 {
		before := p
		accepted = l.Accepted()
		if p, err = l.kernel.pending(); err != nil || p == before && l.Accepted() == accepted {
			break
		}
	}
	return p, accepted, err
}

// Leave closes the sockets. Whatever the kernel still holds for them is reset:
// Steer and Settle come first. It returns how many connections were waiting to be
// accepted at that moment. What was accepted stays in Accept's queue.
func (l *Listener) Leave() (abandoned int, err error) {
	l.mu.Lock()
	if l.left {
		l.mu.Unlock()
		return 0, nil
	}
	l.left = true
	socks := l.socks
	close(l.gone)
	l.mu.Unlock()

	l.watch.Wait()
	l.queue.setUnbounded(true) // no pump may wait for room any more
	abandoned, err = closeAll(socks)
	l.pumps.Wait()
	l.queue.finish()
	l.kernel.release()
	return abandoned, err
}

func closeAll(socks []*socket) (abandoned int, err error) {
	errs := make([]error, 0, len(socks))
	for _, s := range socks {
		n, err := s.backlog()
		abandoned += n
		errs = append(errs, err, s.shutDown())
	}
	for _, s := range socks {
		errs = append(errs, s.Close())
	}
	return abandoned, errors.Join(errs...)
}
