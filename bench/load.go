package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// load is a crowd of workers that send until they are stopped.
type load struct {
	workers []*worker
	tally   *tally
	cancel  context.CancelFunc
	running sync.WaitGroup
	sources uint64 // of chance, handed out so far
}

// startLoad sets --clients clients of each kind to work.
func startLoad(ctx context.Context, c config, t target, d dialer, clock clock) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, tally: newTally()}
	for _, k := range c.loads {
		schedule := &schedule{pacer: pacer{paceOf(c, k)}, began: clock.now()}
		for i := range c.clients {
			seat := seat{kind: k, target: t, dialer: d.placed(k, i), timeout: c.timeout, dice: l.dice(c.seed)}
			for _, caller := range k.open(seat) {
				l.workers = append(l.workers, &worker{
					kind: k, caller: caller, schedule: schedule, dice: seat.dice(),
					ledger: ledger{name: k.name, clock: clock, tally: l.tally},
				})
			}
		}
	}
	for _, w := range l.workers {
		l.running.Go(func() { w.work(ctx) })
	}
	return l
}

// dice returns what hands out sources of chance, no two of them alike.
func (l *load) dice(seed uint64) func() *rand.ChaCha8 {
	return func() *rand.ChaCha8 {
		l.sources++
		return newDice(seed, l.sources)
	}
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
		if !k.fresh && !k.told {
			longest = max(longest, idle)
		}
	}
	return longest
}

// stop lets each worker finish the exchange it is in, and returns when all
// have: the sums are drawn from records that nobody writes any more.
func (l *load) stop() evidence.Work {
	l.cancel()
	l.running.Wait()
	done := evidence.Work{Counts: map[string]int{}}
	for _, w := range l.workers {
		done.Sent += w.ledger.sent
		done.Records = append(done.Records, w.ledger.records...)
		for what, n := range w.ledger.counts {
			done.Counts[what] += n
		}
	}
	slices.SortStableFunc(done.Records, evidence.InTime)
	return done
}

// newDice returns a worker's own source of chance.
func newDice(seed, worker uint64) *rand.ChaCha8 {
	var key [32]byte
	for i := range 8 {
		key[i], key[8+i] = byte(seed>>(8*i)), byte(worker>>(8*i))
	}
	return rand.NewChaCha8(key)
}
