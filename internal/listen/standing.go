package listen

import "net"

// Standing is how a listener stands in its group.
type Standing struct {
	Joined   bool // it is in the rotation, or means to be as soon as it is not alone
	Accepted int  // connections so far; of the probes of other members some are among them
	Pending  Pending
	Others   int // sockets in the group that are not ours
}

// Standing asks the kernel. It returns net.ErrClosed when the listener has left.
func (l *Listener) Standing() (s Standing, err error) {
	if l.hasLeft() {
		return Standing{Accepted: l.Accepted()}, net.ErrClosed
	}
	l.mu.Lock()
	s.Joined = l.joined
	l.mu.Unlock()
	s.Accepted = l.Accepted()
	if s.Pending, err = l.kernel.pending(); err != nil {
		return s, err
	}
	s.Others, err = l.kernel.others()
	return s, err
}
