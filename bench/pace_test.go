package main

import (
	"testing"
	"time"
)

func TestAPacerSpreadsRequestsEvenly(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		rate    float64
		elapsed time.Duration
		sent    int64
		wait    time.Duration
	}{
		{rate: 100, elapsed: 0, sent: 0, wait: 0},
		{rate: 100, elapsed: 0, sent: 1, wait: 10 * ms},
		{rate: 100, elapsed: 3 * ms, sent: 1, wait: 7 * ms},
		{rate: 100, elapsed: 10 * ms, sent: 1, wait: 0},
		{rate: 100, elapsed: 25 * ms, sent: 2, wait: -5 * ms}, // overdue
		{rate: 100, elapsed: 0, sent: 360_000, wait: time.Hour},
		{rate: 0.5, elapsed: 500 * ms, sent: 1, wait: 1500 * ms},
		{rate: 0, elapsed: time.Hour, sent: 7, wait: 0}, // a closed loop
	} {
		if got := (pacer{c.rate}).wait(c.elapsed, c.sent); got != c.wait {
			t.Errorf("at %v/s, %v after the start, with %d sent: waits %v, should wait %v", c.rate, c.elapsed, c.sent, got, c.wait)
		}
	}
}

func TestAScheduleKeepsTheMomentsThatALateWorkerMissed(t *testing.T) {
	s := &schedule{pacer: pacer{10}, began: time.Second}
	late := 5 * time.Second
	for _, want := range []time.Duration{1000, 1100, 1200} {
		if due := s.take(late); due != want*time.Millisecond {
			t.Errorf("the request was due at %v, should be %v", due, want*time.Millisecond)
		}
	}
}

func TestThePaceIsSplitOverTheLoadsThatAreNotPacedByThinking(t *testing.T) {
	all, err := parse([]string{"--pace", "900"})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, k := range all[0].loads {
		sum += paceOf(all[0], k)
	}
	if sum != 900 {
		t.Errorf("the loads' paces add up to %v, should be 900", sum)
	}
}
