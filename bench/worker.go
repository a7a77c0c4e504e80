package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// worker makes one caller call, at the kind's pace. What it writes is its own
// until it has ended, but for the tally.
type worker struct {
	kind     kind
	caller   caller
	schedule *schedule // shared by the workers of the kind
	dice     *rand.ChaCha8
	ledger   ledger
	timer    *time.Timer
}

// work calls until ctx ends.
func (w *worker) work(ctx context.Context) {
	defer w.caller.close()
	w.timer = time.NewTimer(0)
	for {
		due, ok := w.next(ctx)
		if !ok {
			return
		}
		w.ledger.due = due
		w.caller.call(ctx, &w.ledger)
	}
}

// next waits until the next request is due and says when that was meant to be.
func (w *worker) next(ctx context.Context) (due time.Duration, ok bool) {
	clock := w.ledger.clock
	due = clock.now() + w.think()
	if !w.sleepUntil(ctx, due) {
		return 0, false
	}
	if w.schedule.rate == 0 {
		return due, true
	}
	due = w.schedule.take(clock.now())
	return due, w.sleepUntil(ctx, due)
}

func (w *worker) think() time.Duration {
	if w.kind.think == 0 {
		return 0
	}
	return time.Duration(w.dice.Uint64() % uint64(w.kind.think))
}

// sleepUntil reports whether the moment was reached before ctx ended.
func (w *worker) sleepUntil(ctx context.Context, at time.Duration) bool {
	pause := at - w.ledger.clock.now()
	if pause <= 0 {
		return ctx.Err() == nil
	}
	w.timer.Reset(pause)
	select {
	case <-w.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
