package main

import "fmt"

// What makes an upgrade hard, as counts of the report. A scenario names the one that it is
// about, and proves nothing if there was none.
const (
	overflows = "overflows of an accept queue"
	halfOpen  = "handshakes that were half open when a release was told to leave"
	migrated  = "handshakes and connections that the kernel moved to another release"
	draining  = "releases that were still leaving when an upgrade began, at most"
)

// countDraining counts the releases that were told to leave, and still do so.
func (s *story) countDraining() {
	n := 0
	for _, r := range s.retiring {
		select {
		case <-r.Exited:
		default:
			n++
		}
	}
	s.count(draining, max(s.hardships[draining], n))
}

// countHalfOpen counts what a release that is about to be told to leave has to wait for. Only
// the wire has a network of its own, in which nobody else's handshakes are.
func (s *story) countHalfOpen() error {
	if s.fleet.wire == nil {
		return nil
	}
	n, err := s.fleet.wire.HalfOpen()
	s.count(halfOpen, s.hardships[halfOpen]+n)
	return err
}

// countDropped counts what the servers' kernel has dropped, or moved.
func (s *story) countDropped() error {
	if s.fleet.wire == nil {
		return nil
	}
	for what, name := range map[string]string{overflows: "ListenOverflows", migrated: "TCPMigrateReqSuccess"} {
		n, err := s.fleet.wire.Counter(name)
		if err != nil {
			return fmt.Errorf("read %s of the servers: %w", name, err)
		}
		s.count(what, n)
	}
	return nil
}

// count takes down what there was. What there was not is no line of the report.
func (s *story) count(what string, n int) {
	if n > 0 {
		s.hardships[what] = n
	}
}
