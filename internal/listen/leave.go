package listen

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// kernel is what a listener asks of the system, and all that it asks. There is
// one for hosts that steer by SO_INCOMING_CPU and one for hosts that do not
// steer; a classic BPF program would be a third.
type kernel interface {
	// in puts the sockets into the rotation of their group.
	in() error
	// away takes them out. After it returned nil the kernel begins no
	// connection with us any more; after an error we are in, as before.
	away() error
	// pending says what the kernel still holds for us.
	pending() (Pending, error)
	// others counts the sockets of the group that are not ours.
	others() (int, error)
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

// ErrAlone is returned by Steer when nobody else listens in the group.
var ErrAlone = errors.New("nobody else listens on the port")

// The pace at which Settle looks. A look costs a few milliseconds of CPU on a
// host with few connections: the kernel walks its hash table of them.
const (
	minPoll = 5 * time.Millisecond
	maxPoll = 50 * time.Millisecond
)

// Join puts the listener into the rotation, and takes a Steer back.
func (l *Listener) Join() error {
	l.mu.Lock()
	l.joined = true
	l.mu.Unlock()
	l.queue.setUnbounded(false)
	return l.kernel.in()
}

// Steer makes new connections go to the other members of the group. It returns
// ErrAlone where there are none, and another error where none of them takes
// over; then nothing has changed. From Steer on connections are accepted without
// bound, whether or not anybody calls Accept.
func (l *Listener) Steer() error {
	n, err := l.kernel.others()
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrAlone
	}
	l.queue.setUnbounded(true)
	if err := l.kernel.away(); err != nil {
		l.queue.setUnbounded(false)
		return err
	}
	return nil
}

// Alone says whether nobody else listens in the group.
func (l *Listener) Alone() bool {
	n, err := l.kernel.others()
	return err == nil && n == 0
}

// Settle accepts until the kernel holds nothing for the listener, or ctx ends.
// It returns what is left, and how many handshakes expired because their client
// never came back.
func (l *Listener) Settle(ctx context.Context) (left Pending, expired int, err error) {
	l.queue.setUnbounded(true)
	first, accepted, err := l.stablePending()
	if err != nil {
		return first, 0, err
	}
	left = first
	for poll := minPoll; left.sum() > 0; poll = min(2*poll, maxPoll) {
		select {
		case <-ctx.Done():
			return left, 0, nil
		case <-time.After(poll):
		}
		if left, err = l.kernel.pending(); err != nil {
			return left, 0, err
		}
	}
	return left, max(0, first.sum()-(l.Accepted()-accepted)), nil
}

// stablePending reads what is pending together with how many were accepted by
// then: it looks again when one was accepted meanwhile, a few times.
func (l *Listener) stablePending() (p Pending, accepted int, err error) {
	for range 3 {
		accepted = l.Accepted()
		if p, err = l.kernel.pending(); err != nil || l.Accepted() == accepted {
			break
		}
	}
	return p, accepted, err
}

// Leave closes the sockets. Whatever the kernel still holds for them is reset:
// Steer and Settle come first. What was accepted stays in Accept's queue.
func (l *Listener) Leave() error {
	l.mu.Lock()
	if l.left {
		l.mu.Unlock()
		return nil
	}
	l.left = true
	socks := l.socks
	close(l.gone)
	l.mu.Unlock()

	l.watch.Wait()
	l.queue.setUnbounded(true) // no pump may wait for room any more
	err := closeAll(socks)
	l.pumps.Wait()
	l.queue.finish()
	l.kernel.release()
	return err
}

func closeAll(socks []*socket) error {
	errs := make([]error, 0, len(socks))
	for _, s := range socks {
		errs = append(errs, s.shutDown())
	}
	for _, s := range socks {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
