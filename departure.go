package overlap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/ba995850/overlap/internal/listen"
)

var errTakenBack = errors.New("overlap: the retirement was taken back")

const (
	// stopTime is kept of the deadline, beside FinishTimeout, for an instance that
	// has waited for a successor in vain.
	stopTime = time.Second
	// stopSettle is how long a port without a successor accepts on: the kernel has
	// nobody else to give new connections to, so there is no end to wait for.
	stopSettle = 100 * time.Millisecond
	// retryEvery is how long an instance that found no successor serves on before
	// it looks again, on the average: two that retire at once must not go in step.
	retryEvery = 500 * time.Millisecond
)

// port is a listener that can leave its group: *listen.Listener.
type port interface {
	Addr() net.Addr
	Accepted() int
	Join() error
	Steer() error
	Rest() error
	Alone() bool
	Settle(context.Context) (left listen.Pending, expired int, err error)
	Leave() (abandoned int, err error)
	Exhausted() <-chan struct{}
}

// departure is how listeners leave their groups: steer, settle, close.
type departure struct {
	ports   []port
	steered []port // those of them that somebody took over
	shared  []port // those of them on which somebody else has been
	dark    bool   // they were not in the rotation to begin with
	opts    *Options
	life    *life
	verdict Verdict
	began   time.Time
	undo    <-chan struct{}
	only    func() bool // whether it leaves to a successor only
	told    func()      // connections may be told from here on
	untold  func()      // that was taken back
}

func portsOf(lns []*listen.Listener) []port {
	ports := make([]port, len(lns))
	for i, ln := range lns {
		ports[i] = ln
	}
	return ports
}

// leave runs the three phases. Where nobody takes over it serves on and tries
// again, until the deadline leaves just time for a stop. It returns errTakenBack
// when the ports are back where they were, and net.ErrClosed when somebody else
// has closed them; otherwise they have left.
func (d *departure) leave(ctx context.Context) error {
	giveUp, stop := context.WithDeadline(ctx, d.began.Add(d.opts.DrainTimeout-d.opts.FinishTimeout-stopTime))
	defer stop()
	for {
		reason := d.try(ctx)
		switch {
		case reason == nil && d.undone():
			return d.takeBack(ctx)
		case reason == nil:
			return d.close(ctx)
		case errors.Is(reason, net.ErrClosed):
			return reason
		}
		d.waiting(reason)
		switch err := d.pause(giveUp); {
		case errors.Is(err, errTakenBack):
			return d.takeBack(ctx)
		case err != nil && d.only():
			d.life.notice("staying, for nobody took over before the deadline: %v", reason)
			return d.takeBack(ctx)
		case err != nil:
			d.desert(reason)
			return d.close(ctx)
		}
	}
}

// try steers and settles. After an error the ports are back where they were.
func (d *departure) try(ctx context.Context) error {
	if err := d.timed(PhaseSteer, d.steer); err != nil {
		return err
	}
	d.told()
	ctx, stop := d.unlessUndone(ctx)
	defer stop()
	if err := d.timed(PhaseSettle, func() error { return d.settle(ctx) }); err != nil {
		d.untold()
		return errors.Join(err, d.goHome(d.ports))
	}
	return nil
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

// steer steers every port or none. One without anybody else in its group has nobody
// to wait for, unless there was somebody before, or we leave to a successor only.
func (d *departure) steer() error {
	var steered, alone []port
	for _, p := range d.ports {
		err := p.Steer()
		if !errors.Is(err, listen.ErrAlone) && !slices.Contains(d.shared, p) {
			d.shared = append(d.shared, p)
		}
		switch {
		case err == nil:
			steered = append(steered, p)
		case errors.Is(err, listen.ErrAlone) && !slices.Contains(d.shared, p) && !d.only():
			alone = append(alone, p)
		default:
			return errors.Join(err, d.goHome(steered))
		}
	}
	d.steered = steered
	d.verdict.Successor = len(alone) == 0
	d.verdict.Reason = ""
	for _, p := range alone {
		d.verdict.Reason = fmt.Sprintf("%v: %v", p.Addr(), listen.ErrAlone)
		d.life.notice("this is a stop, not a handover: new connections will be refused: %s", d.verdict.Reason)
	}
	return nil
}

// goHome puts ports where they were: into the rotation, or out of it.
func (d *departure) goHome(ports []port) error {
	var errs []error
	for _, p := range ports {
		if d.dark {
			errs = append(errs, p.Rest())
		} else {
			errs = append(errs, p.Join())
		}
	}
	return errors.Join(errs...)
}

// waiting tells the operator, once for each reason, why the instance is still here.
func (d *departure) waiting(reason error) {
	if d.verdict.Reason != reason.Error() {
		d.verdict.Reason = reason.Error()
		d.life.notice("serving on, waiting for a successor: %v", reason)
	}
}

// pause waits before the next try. It returns errTakenBack, or the error of giveUp.
func (d *departure) pause(giveUp context.Context) error {
	return d.timed(PhaseSteer, func() error {
		select {
		case <-time.After(retryEvery/2 + rand.N(retryEvery)):
			return nil
		case <-d.undo:
			return errTakenBack
		case <-giveUp.Done():
			return giveUp.Err()
		}
	})
}

// desert gives up waiting.
func (d *departure) desert(reason error) {
	d.verdict.Successor, d.steered = false, nil
	d.verdict.doubt("nobody took over before the deadline")
	d.life.notice("leaving without a successor, for the deadline is near: %v", reason)
}

func (d *departure) undone() bool {
	select {
	case <-d.undo:
		return true
	default:
		return false
	}
}

// unlessUndone is ctx, which the order to stay ends, too.
func (d *departure) unlessUndone(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-d.undo:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// takeBack puts the ports back where they were. Where that cannot be, they leave: half an
// instance is none.
func (d *departure) takeBack(ctx context.Context) error {
	d.untold()
	if err := d.goHome(d.ports); err != nil {
		d.verdict.doubt(fmt.Sprintf("it could not be taken back: %v", err))
		return errors.Join(err, d.close(ctx))
	}
	return errTakenBack
}

// settle accepts what the kernel still holds. It returns an error when a successor
// has gone meanwhile, or does not get everything.
func (d *departure) settle(ctx context.Context) error {
	d.verdict.Abandoned = 0
	for _, p := range d.ports {
		if err := d.settlePort(ctx, p); err != nil {
			return err
		}
	}
	for _, p := range d.steered {
		if p.Alone() {
			return fmt.Errorf("%v: the successor has gone", p.Addr())
		}
	}
	return nil
}

func (d *departure) settlePort(ctx context.Context, p port) error {
	timeout := stopSettle
	if slices.Contains(d.steered, p) {
		timeout = d.opts.SettleTimeout
	}
	until := time.Now().Add(timeout)
	if last := d.lastLinger(); until.After(last) {
		until = last
	}
	ctx, stop := context.WithDeadline(ctx, until)
	defer stop()
	left, expired, err := p.Settle(ctx)
	d.verdict.Abandoned += left.HalfOpen // Leave counts the rest
	d.verdict.Expired += expired
	return err
}

// lastLinger is when the last step has to begin.
func (d *departure) lastLinger() time.Time {
	return d.began.Add(d.opts.DrainTimeout - d.opts.FinishTimeout)
}

// close leaves the groups and waits until the server has all that was accepted.
func (d *departure) close(ctx context.Context) error {
	return d.timed(PhaseClose, func() error {
		var errs []error
		for _, p := range d.ports {
			errs = append(errs, d.closePort(p))
		}
		for _, p := range d.ports {
			if !handedOut(ctx, p) {
				d.verdict.doubt("the server did not take every connection that was accepted")
			}
		}
		return errors.Join(errs...)
	})
}

// handedOut waits until Accept has returned all that was accepted, or ctx ends.
func handedOut(ctx context.Context, p port) bool {
	select {
	case <-p.Exhausted():
		return true
	case <-ctx.Done():
	}
	select { // both may be so
	case <-p.Exhausted():
		return true
	default:
		return false
	}
}

// closePort leaves one group. Where nobody took over new connections keep coming to
// the last moment, and how many are lost in it cannot be counted.
func (d *departure) closePort(p port) error {
	accepted := p.Accepted()
	abandoned, err := p.Leave()
	d.verdict.Abandoned += abandoned
	if !slices.Contains(d.steered, p) && p.Accepted() > accepted {
		d.verdict.doubt("connections were arriving when the port was closed")
	}
	if err != nil {
		d.verdict.doubt(err.Error())
	}
	return err
}
