package listen

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// coverEvery is how often a listener looks whether a CPU has come online. A CPU
// that no member is pinned to hashes over all members, a retiring one included.
const coverEvery = 2 * time.Second

// cover makes sure that there is a socket for each CPU that is online.
func (l *Listener) cover(ctx context.Context) error {
	cpus, err := l.online()
	if err != nil {
		return fmt.Errorf("find the CPUs that are online: %w", err)
	}
	for _, cpu := range cpus {
		if err := l.coverCPU(ctx, cpu); err != nil {
			return fmt.Errorf("listen for CPU %d: %w", cpu, err)
		}
	}
	return nil
}

func (l *Listener) coverCPU(ctx context.Context, cpu int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left || slices.ContainsFunc(l.socks, func(s *socket) bool { return s.cpu == cpu }) {
		return nil
	}
	if len(l.socks) == 1 && l.socks[0].cpu == anyCPU {
		l.socks[0].cpu = cpu
		return nil
	}
	s, err := open(ctx, l.network, l.addr.String())
	if err != nil {
		return err
	}
	s.cpu = cpu
	if l.joined {
		if err := s.pin(cpu); err != nil {
			s.Close()
			return err
		}
	}
	l.adoptLocked(s)
	return nil
}

// coverNewCPUs goes on looking until the listener leaves. An error is no reason
// to stop: it is tried again.
func (l *Listener) coverNewCPUs() {
	tick := time.NewTicker(coverEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.gone:
			return
		case <-tick.C:
			_ = l.cover(context.Background())
		}
	}
}
