package drain

import "time"

const (
	// tick is how old a stamp may be. To look at the clock for each request would be a good
	// part of all that we do for it, and only a retirement needs to know the time exactly.
	tick = 250 * time.Millisecond
	// exact is what the clock shows while stamps have to be exact.
	exact = 0
)

// now is a stamp: nanoseconds since the epoch of the set, never 0.
func (cs *Conns) now() int64 { return int64(time.Since(cs.epoch)) | 1 }

// stamp is the time, to a tick, and while retiring exactly.
func (cs *Conns) stamp() int64 {
	if at := cs.clock.Load(); at != exact {
		return at
	}
	return cs.now()
}

// Tick keeps the clock going until the function that it returns is called.
func (cs *Conns) Tick() (stop func()) {
	each := time.NewTicker(tick)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		cs.run(each.C, over)
	}()
	return func() {
		each.Stop()
		close(over)
		<-ended
	}
}

func (cs *Conns) run(each <-chan time.Time, over <-chan struct{}) {
	for {
		select {
		case <-each:
			if at := cs.clock.Load(); at != exact {
				cs.clock.CompareAndSwap(at, cs.now()) // or Retire has made it exact meanwhile
			}
		case <-over:
			return
		}
	}
}
