package listen

import (
	"context"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// newKernel finds out what this host offers and how to ask it.
func newKernel(ctx context.Context, l *Listener, first *socket) (kernel, Tier, error) {
	local := l.addr.(*net.TCPAddr).AddrPort()
	tier := selfTest(ctx)
	if !tier.Lossless {
		return &unsteered{l: l}, tier, nil
	}
	t, err := openTable(local.Addr().Is6())
	if err != nil {
		return &unsteered{l: l}, Tier{Why: err.Error()}, nil
	}
	p, err := newProber(local, first.v6only())
	if err != nil {
		t.close()
		return nil, tier, err
	}
	return &pinned{l: l, table: t, prober: p}, tier, nil
}

func (s *socket) v6only() (only bool) {
	s.control(func(fd int) error {
		on, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		only = err == nil && on == 1
		return err
	})
	return only
}

// unsteered is for a host that cannot steer: older kernels, sandboxes. New
// connections keep coming until the sockets are closed, and what arrives in
// between is lost.
type unsteered struct{ l *Listener }

func (k *unsteered) in() error                  { return nil }
func (k *unsteered) away() error                { return nil }
func (k *unsteered) rest() error                { return nil }
func (k *unsteered) knock() error               { return nil } // the others would answer, too
func (k *unsteered) caught(netip.AddrPort) bool { return false }
func (k *unsteered) release()                   {}

// pending knows the accept queues only.
func (k *unsteered) pending() (sum Pending, err error) {
	for _, s := range k.l.sockets() {
		queued, err := s.backlog()
		if err != nil {
			return sum, err
		}
		sum.Queued += queued
	}
	return sum, nil
}

func (k *unsteered) standing() (Pending, []uint64, error) {
	p, err := k.pending()
	if err != nil {
		return p, nil, err
	}
	others, err := k.others()
	return p, others, err
}

// others reads the table where it can be read. Where it cannot, there may be
// somebody: a linger too many costs time, one too few costs requests.
func (k *unsteered) others() ([]uint64, error) {
	somebody := []uint64{0}
	t, err := openTable(k.l.addr.(*net.TCPAddr).AddrPort().Addr().Is6())
	if err != nil {
		return somebody, nil
	}
	defer t.close()
	lines, err := t.listeners()
	if err != nil {
		return somebody, nil
	}
	_, others, err := splitGroup(lines, k.l.sockets())
	if err != nil {
		return somebody, nil
	}
	return inodesOf(others), nil
}
