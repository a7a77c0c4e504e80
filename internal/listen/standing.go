package listen

import "net"

// Standing is how a listener stands in its group.
type Standing struct {
	Joined   bool // it is in the rotation, or means to be as soon as it is not alone
	Accepted int  // connections so far; of the probes of members some are among them
	Pending  Pending
	Others   []uint64 // inodes of the sockets in the group that are not ours
}

// Standing asks the kernel. It returns net.ErrClosed when the listener has left.
func (l *Listener) Standing() (s Standing, err error) {
	s.Accepted = l.Accepted() + int(l.caught.Load())
	if l.hasLeft() {
		return s, net.ErrClosed
	}
	l.mu.Lock()
	s.Joined = l.joined
	l.mu.Unlock()
	s.Pending, s.Others, err = l.kernel.standing()
	return s, err
}

// Knock makes new connections to the address, as a client would, until one has come to this
// listener: then [Standing] counts it as accepted. Its error says that none did. Where
// connections cannot be steered it makes none.
func (l *Listener) Knock() error {
	if l.hasLeft() {
		return net.ErrClosed
	}
	return l.kernel.knock()
}
