package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// longestPost bounds the bodies of POSTs.
const longestPost = 4096

// worker is one client of one kind. What it writes is its own until it has
// ended, but for the tally.
type worker struct {
	kind     kind
	target   target
	client   *client
	schedule *schedule // shared by the workers of the kind
	tally    *tally    // shared by all
	clock    clock
	dice     *rand.ChaCha8
	hello    []byte // the GET request

	post    [longestPost]byte
	wire    []byte
	timer   *time.Timer
	sent    int
	records []record
}

// work sends until ctx ends. A request that is under way then gets its answer,
// or runs into the client's timeout.
func (w *worker) work(ctx context.Context) {
	defer w.client.close()
	w.timer = time.NewTimer(0)
	for {
		due, ok := w.next(ctx)
		if !ok {
			return
		}
		// Counted before and recorded after: the report compares the two.
		w.sent++
		r := w.send(due)
		w.records = append(w.records, r)
		w.tally.add(r)
	}
}

// next waits until the next request is due and says when that was meant to be.
func (w *worker) next(ctx context.Context) (due time.Duration, ok bool) {
	due = w.clock.now() + w.think()
	if !w.sleepUntil(ctx, due) {
		return 0, false
	}
	if w.schedule.rate == 0 {
		return due, true
	}
	due = w.schedule.take(w.clock.now())
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
	pause := at - w.clock.now()
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

// send makes one request, whatever becomes of it, and records it.
func (w *worker) send(due time.Duration) record {
	wire, posted := w.compose()
	a, err := w.client.exchange(wire, w.kind.fresh)
	latency := w.clock.now() - due
	if err == nil {
		err = w.target.check(a, posted)
	}
	return newRecord(w.kind.name, due, latency, a.release, err)
}

// compose returns the next request and, if it is a POST, its body.
func (w *worker) compose() (wire, posted []byte) {
	if !w.kind.post {
		return w.hello, nil
	}
	posted = w.post[:1+w.dice.Uint64()%longestPost]
	w.dice.Read(posted) // cannot fail
	w.wire = w.target.appendPost(w.wire[:0], posted)
	return w.wire, posted
}
