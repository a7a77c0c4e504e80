package main

import (
	"sync/atomic"
	"time"
)

// pacer spreads requests evenly over time. It is a pure function, so that a
// schedule can be tested without waiting for it.
type pacer struct {
	rate float64 // requests per second; 0: a closed loop, where each is due at once
}

// wait returns how long it is until the request that follows sent others is
// due, when the run is elapsed old. It is negative when the request is overdue.
func (p pacer) wait(elapsed time.Duration, sent int64) time.Duration {
	if p.rate == 0 {
		return 0
	}
	return time.Duration(float64(sent)/p.rate*float64(time.Second)) - elapsed
}

// schedule hands out the moments of one pacer to many workers. A worker that
// comes late gets a moment that has passed, so its latency shows the lateness
// that a request sent on time would have seen: no coordinated omission.
type schedule struct {
	pacer
	began time.Duration // in the run's time
	taken atomic.Int64
}

// take returns when the next request is due, in the run's time.
func (s *schedule) take(now time.Duration) time.Duration {
	return now + s.wait(now-s.began, s.taken.Add(1)-1)
}

// clock tells the run's time. All events and records of a run share one.
type clock struct{ start time.Time }

func (c clock) now() time.Duration { return time.Since(c.start) }
