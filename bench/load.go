package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// load is a crowd of workers that send until they are stopped.
type load struct {
	workers []*worker
	tally   *tally
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startLoad sets --clients workers of each kind to work.
func startLoad(ctx context.Context, c config, t target, clock clock) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, tally: newTally()}
	for _, k := range c.loads {
		schedule := &schedule{pacer: pacer{paceOf(c, k)}, began: clock.now()}
		for range c.clients {
			l.workers = append(l.workers, &worker{
				kind: k, target: t, clock: clock, schedule: schedule, tally: l.tally,
				client: newClient(t.addr, c.timeout),
				dice:   newDice(c.seed, uint64(len(l.workers))),
				hello:  t.get(t.path, k.fresh),
			})
		}
	}
	for _, w := range l.workers {
		l.running.Go(func() { w.work(ctx) })
	}
	return l
}

// paceOf is a kind's part of --pace.
func paceOf(c config, k kind) float64 {
	if !k.paced {
		return 0
	}
	sharing := 0
	for _, k := range c.loads {
		if k.paced {
			sharing++
		}
	}
	return c.pace / float64(sharing)
}

// longestIdle is how long a kept connection waits for its next request, for
// thinking or because the others have their turn.
func longestIdle(c config) (longest time.Duration) {
	for _, k := range c.loads {
		idle := k.think
		if rate := paceOf(c, k); rate > 0 {
			idle += time.Duration(float64(c.clients) / rate * float64(time.Second))
		}
		if !k.fresh {
			longest = max(longest, idle)
		}
	}
	return longest
}

// stop lets each worker finish the exchange it is in, and returns when all
// have: the sums are drawn from records that nobody writes any more.
func (l *load) stop() (sent int, records []record) {
	l.cancel()
	l.running.Wait()
	for _, w := range l.workers {
		sent += w.sent
		records = append(records, w.records...)
	}
	return sent, records
}

// newDice returns a worker's own source of chance.
func newDice(seed, worker uint64) *rand.ChaCha8 {
	var key [32]byte
	for i := range 8 {
		key[i], key[8+i] = byte(seed>>(8*i)), byte(worker>>(8*i))
	}
	return rand.NewChaCha8(key)
}
