package listen

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// pinned steers by SO_INCOMING_CPU. Since Linux 6.2 (b261eda84ec1, and stable
// 6.1) a connection goes to a member of the group that is pinned to the CPU on
// which it arrives, if there is one. So a member that unpins its sockets gets
// nothing as long as a pinned one lives, and if none does the kernel hashes over
// all of them, this one included.
type pinned struct {
	l      *Listener
	table  *table
	prober *prober
	hasty  bool // away shortened the life of half-open handshakes
}

// The retries of a SYN-ACK. With the kernel's default a handshake whose client
// has vanished is given up after 63 s, with fewer after 7 s.
const (
	defaultRetries  = 5 // net.ipv4.tcp_synack_retries, where nobody changed it
	retiringRetries = 2
)

func (k *pinned) in() error {
	return errors.Join(k.pin(), k.takeTime())
}

func (k *pinned) rest() error { return errors.Join(k.unpin(), k.takeTime()) }

// takeTime gives half-open handshakes their usual life back.
func (k *pinned) takeTime() error {
	if !k.hasty {
		return nil
	}
	k.hasty = false
	return k.each(func(s *socket) error { return s.setHandshakeRetries(defaultRetries) })
}

func (k *pinned) pin() error   { return k.each(func(s *socket) error { return s.pin(s.cpu) }) }
func (k *pinned) unpin() error { return k.each(func(s *socket) error { return s.pin(anyCPU) }) }

func (k *pinned) each(f func(*socket) error) error {
	var errs []error
	for _, s := range k.l.sockets() {
		errs = append(errs, f(s))
	}
	return errors.Join(errs...)
}

// away looks before it leaves, twice. While we are still pinned no connection is
// at stake: that look finds a member that is stopped, or whose queue is full.
// Only when we are unpinned can be seen that nothing reaches us any more.
func (k *pinned) away() error {
	mine, others, err := k.members()
	if err != nil {
		return err
	}
	n := enoughProbes(len(mine), len(mine)+len(others))
	seen, err := k.prober.look(n)
	switch {
	case err != nil && k.l.starved():
		// It is us who cannot accept, so there is nothing to lose by leaving.
	case err != nil:
		return err
	case seen.others == 0:
		return errors.New("nobody else is in rotation on the port yet")
	}
	if err := k.unpin(); err != nil {
		return err
	}
	waitForGracePeriod()
	if seen, err = k.prober.look(n); err != nil {
		return err
	}
	if seen.mine > 0 {
		return fmt.Errorf("%d of %d new connections still reach this instance: no other member is pinned to each CPU", seen.mine, seen.mine+seen.others)
	}
	k.hasty = true
	return k.each(func(s *socket) error { return s.setHandshakeRetries(retiringRetries) })
}

func (k *pinned) knock() error {
	mine, others, err := k.members()
	if err != nil {
		return err
	}
	n := enoughProbes(len(mine), len(mine)+len(others))
	seen, err := k.prober.look(n)
	if err == nil && seen.mine == 0 {
		err = fmt.Errorf("of %d new connections none came to this instance", seen.others)
	}
	return err
}

func (k *pinned) caught(from netip.AddrPort) bool { return k.prober.caught(from) }

func (k *pinned) release() {
	k.prober.close()
	k.table.close()
}

// pending reads our lines of the table in one go.
func (k *pinned) pending() (Pending, error) {
	sum, _, err := k.standing()
	return sum, err
}

func (k *pinned) others() ([]uint64, error) {
	_, others, err := k.standing()
	return others, err
}

func (k *pinned) standing() (sum Pending, others []uint64, err error) {
	mine, theirs, err := k.members()
	for _, ln := range mine {
		p := ln.pending()
		sum.HalfOpen += p.HalfOpen
		sum.Queued += p.Queued
	}
	return sum, inodesOf(theirs), err
}

// members splits the group into our sockets and those of others. The kernel
// prints a page of the table at a time and may leave out a line at the seam when
// a socket closes just then, so it looks again when one of ours is missing.
func (k *pinned) members() (mine, others []line, err error) {
	for range 3 {
		socks := k.l.sockets()
		lines, err := k.table.listeners()
		if err != nil {
			return nil, nil, err
		}
		if mine, others, err = splitGroup(lines, socks); err == nil {
			return mine, others, nil
		}
	}
	return nil, nil, errNotShown
}

var errNotShown = errors.New("/proc/self/net does not show our listeners")

// splitGroup finds the lines of socks, and those of the sockets that share with
// them: same address, same port, same user. The user is compared as the table
// shows it, for a user namespace translates it there.
func splitGroup(lines []line, socks []*socket) (mine, others []line, err error) {
	inodes := make(map[uint64]bool, len(socks))
	for _, s := range socks {
		inodes[s.inode] = true
	}
	for _, ln := range lines {
		if inodes[ln.inode] {
			mine = append(mine, ln)
		}
	}
	if len(mine) < len(inodes) || len(mine) == 0 {
		return nil, nil, errNotShown
	}
	for _, ln := range lines {
		if !inodes[ln.inode] && ln.local == mine[0].local && ln.uid == mine[0].uid {
			others = append(others, ln)
		}
	}
	return mine, others, nil
}

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of linux/membarrier.h.
const membarrierGlobal = 1

// waitForGracePeriod returns when no packet that was looked up before it is
// still being processed: membarrier waits for an RCU grace period, under which
// the whole of tcp_v4_rcv runs. Where it is refused (nohz_full, seccomp), time
// must do.
func waitForGracePeriod() {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		time.Sleep(200 * time.Millisecond)
	}
}
