package overlap

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ba995850/overlap/internal/listen"
)

var errTakenBack = errors.New("the retirement was taken back")

const (
	// stopTime is kept of the deadline, beside FinishTimeout, for an instance that
	// has waited for a successor in vain.
	stopTime = time.Second
	// stopSettle is how long an instance without a successor accepts on: the kernel
	// has nobody else to give new connections to, so there is no end to wait for.
	stopSettle = 100 * time.Millisecond
	// retryEvery is how long an instance that found no successor serves on before
	// it looks again, on the average: two that retire at once must not go in step.
	retryEvery = 500 * time.Millisecond
)

// port is a listener that can leave its group: *listen.Listener.
type port interface {
	Join() error
	Steer() error
	Alone() bool
	Settle(context.Context) (left listen.Pending, expired int, err error)
	Leave() (abandoned int, err error)
	Exhausted() <-chan struct{}
}

// departure is how listeners leave their groups: steer, settle, close.
type departure struct {
	ports   []port
	opts    *Options
	life    *life
	verdict Verdict
	began   time.Time
	bereft  bool // somebody took over, and does not do so any more
	undo    <-chan struct{}
	told    func() // connections may be told from here on
	untold  func() // that was taken back
}

func portsOf(lns []*listen.Listener) []port {
	ports := make([]port, len(lns))
	for i, ln := range lns {
		ports[i] = ln
	}
	return ports
}

// leave runs the three phases. It returns errTakenBack when the listeners are in
// the rotation again; otherwise they are closed, in time for ctx's end.
func (d *departure) leave(ctx context.Context) error {
	for {
		if err := d.steer(ctx); err != nil {
			return err
		}
		d.told()
		settled, err := d.settle(ctx)
		if err != nil {
			return err
		}
		if settled {
			break
		}
		// Serve on, look again.
		d.bereft = true
		d.untold()
		d.join()
	}
	return d.close(ctx)
}

// timed runs one phase and adds what it took to the verdict.
func (d *departure) timed(p Phase, f func() error) error {
	d.life.enter(p)
	began := time.Now()
	err := f()
	if d.verdict.Phases == nil {
		d.verdict.Phases = make(map[Phase]time.Duration)
	}
	d.verdict.Phases[p] += time.Since(began)
	return err
}

// steer makes new connections go to others. Where nobody takes over it serves on
// and tries again, until the deadline leaves just time for a stop.
func (d *departure) steer(ctx context.Context) error {
	return d.timed(PhaseSteer, func() error {
		giveUp, stop := context.WithDeadline(ctx, d.began.Add(d.opts.DrainTimeout-d.opts.FinishTimeout-stopTime))
		defer stop()
		for {
			reason := d.trySteer()
			if reason == nil {
				return nil
			}
			if d.verdict.Reason != reason.Error() {
				d.verdict.Reason = reason.Error()
				d.life.notice("serving on, waiting for a successor: %v", reason)
			}
			select {
			case <-time.After(retryEvery/2 + rand.N(retryEvery)):
			case <-d.undo:
				return d.takeBack()
			case <-giveUp.Done():
				d.verdict.Successor = false
				d.verdict.deserted = !errors.Is(reason, listen.ErrAlone)
				d.life.notice("leaving without a successor, for the deadline is near: %v", reason)
				return nil
			}
		}
	})
}

// trySteer steers every port or none. One without anybody else in its group has
// nobody to wait for, unless there was somebody before.
func (d *departure) trySteer() error {
	alone := 0
	for _, p := range d.ports {
		err := p.Steer()
		if errors.Is(err, listen.ErrAlone) && !d.bereft {
			alone++
			continue
		}
		if err != nil {
			return errors.Join(err, d.join())
		}
	}
	d.verdict.Successor = alone == 0
	d.verdict.Reason = ""
	if alone > 0 {
		d.verdict.Reason = listen.ErrAlone.Error()
		d.life.notice("this is a stop, not a handover: %v, and new connections to it will be refused", listen.ErrAlone)
	}
	return nil
}

func (d *departure) join() error {
	var errs []error
	for _, p := range d.ports {
		errs = append(errs, p.Join())
	}
	return errors.Join(errs...)
}

func (d *departure) takeBack() error {
	d.untold()
	if err := d.join(); err != nil {
		return err
	}
	return errTakenBack
}

// settle accepts what the kernel still holds. It says false when the successor has
// gone meanwhile, or does not get everything.
func (d *departure) settle(ctx context.Context) (settled bool, err error) {
	timeout := d.opts.SettleTimeout
	if !d.verdict.Successor {
		timeout = stopSettle
	}
	err = d.timed(PhaseSettle, func() error {
		ctx, stop := context.WithTimeout(ctx, timeout)
		defer stop()
		d.verdict.Abandoned = 0
		for _, p := range d.ports {
			left, expired, err := p.Settle(ctx)
			if err != nil {
				return err
			}
			d.verdict.Abandoned += left.HalfOpen // Leave counts the rest
			d.verdict.Expired += expired
		}
		return nil
	})
	if errors.Is(err, listen.ErrReached) {
		d.life.notice("serving on: %v", err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	select {
	case <-d.undo:
		return false, d.takeBack()
	default:
	}
	return !d.verdict.Successor || !d.anyAlone(), nil
}

func (d *departure) anyAlone() bool {
	for _, p := range d.ports {
		if p.Alone() {
			return true
		}
	}
	return false
}

// close leaves the groups and waits until the server has all that was accepted.
func (d *departure) close(ctx context.Context) error {
	return d.timed(PhaseClose, func() error {
		var errs []error
		for _, p := range d.ports {
			abandoned, err := p.Leave()
			d.verdict.Abandoned += abandoned
			errs = append(errs, err)
		}
		for _, p := range d.ports {
			select {
			case <-p.Exhausted():
			case <-ctx.Done():
			}
		}
		return errors.Join(errs...)
	})
}
