package main

// What makes an upgrade hard, as counts of the report. A scenario names the one that it is
// about, and proves nothing if there was none.
const (
	overflows = "overflows of an accept queue"
	halfOpen  = "handshakes that were half open when a release was told to leave"
	draining  = "releases that were still leaving when an upgrade began, at most"
)

// countDraining counts the releases that were told to leave, and still do so.
func (s *story) countDraining() {
	n := 0
	for _, r := range s.retiring {
		select {
		case <-r.exited:
		default:
			n++
		}
	}
	if n > 0 {
		s.hardships[draining] = max(s.hardships[draining], n)
	}
}

// countHalfOpen counts what a release that is about to be told to leave has to wait for. Only
// the wire has a network of its own, in which nobody else's handshakes are. And it is asked only
// by the scenario that is about it: where connections come and go too fast, the kernel has taken
// 24s for this table.
func (s *story) countHalfOpen() error {
	if s.fleet.wire == nil || s.shows != halfOpen {
		return nil
	}
	n, err := s.fleet.wire.HalfOpen()
	s.hardships[halfOpen] += n
	return err
}

func (s *story) countOverflows() error {
	if s.fleet.wire == nil {
		return nil
	}
	n, err := s.fleet.wire.Overflows()
	s.hardships[overflows] = n
	return err
}
