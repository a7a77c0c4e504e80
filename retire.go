package overlap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
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
// the rotation again, and ctx's error when it ended first; then they are closed.
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
		// Whoever took over is gone: serve on, look again.
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
				return nil
			}
		}
	})
}

// trySteer steers every listener or none. One without anybody else in its group
// has nobody to wait for.
func (d *departure) trySteer() error {
	alone := 0
	for _, p := range d.ports {
		err := p.Steer()
		if errors.Is(err, listen.ErrAlone) {
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
// gone meanwhile.
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

// retire runs a whole retirement of the instance.
func (inst *Instance) retire() error {
	if err := inst.life.advance(StateRetiring); err != nil {
		return err
	}
	inst.mu.Lock()
	d := &departure{
		ports: portsOf(inst.lns), opts: &inst.opts, life: &inst.life, began: time.Now(), undo: inst.undo,
		told: inst.tell, untold: inst.untell,
		verdict: Verdict{Release: inst.opts.Release, Retired: !inst.opts.Plain, Tier: tierOf(inst.lns)},
	}
	inst.mu.Unlock()
	ctx, stop := inst.deadline(inst.opts.DrainTimeout)
	defer stop()
	if inst.opts.Plain {
		d.verdict.Reason = "not retired: closed and shut down, as Plain asks for"
		inst.tellHandlers()
	} else if err := d.leave(ctx); errors.Is(err, errTakenBack) {
		return inst.resume()
	} else if err != nil {
		d.verdict.Reason = err.Error()
	} else {
		inst.linger(ctx, d)
	}
	inst.finish(ctx, d)
	return inst.finishVerdict(&d.verdict)
}

// deadline is a context that ends after d, or when the instance is cut.
func (inst *Instance) deadline(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithTimeout(context.Background(), d)
	go func() {
		select {
		case <-inst.cut:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// linger moves keep-alive clients over. Without a successor there is nobody to
// move them to: what is idle is closed at once, what is busy is answered.
func (inst *Instance) linger(ctx context.Context, d *departure) {
	timeout := inst.opts.LingerTimeout
	if !d.verdict.Successor {
		timeout = 0
	}
	d.timed(PhaseLinger, func() error {
		ctx, stop := context.WithDeadline(ctx, d.began.Add(inst.opts.DrainTimeout-inst.opts.FinishTimeout))
		defer stop()
		return inst.conns.Linger(ctx, timeout)
	})
}

// finish shuts the servers down, flushes, and cuts what is left at the deadline.
func (inst *Instance) finish(ctx context.Context, d *departure) {
	d.timed(PhaseFinish, func() error {
		ctx, stop := context.WithTimeout(ctx, inst.opts.FinishTimeout)
		defer stop()
		return inst.shutDown(ctx)
	})
	err := d.timed(PhaseFlush, func() error { return inst.conns.Flush(ctx) })
	if err == nil {
		return
	}
	d.timed(PhaseCut, func() error {
		d.verdict.Cut, d.verdict.Unacknowledged = inst.conns.Cut()
		return nil
	})
}

// shutDown shuts all servers down at once.
func (inst *Instance) shutDown(ctx context.Context) error {
	errs := make([]error, len(inst.srvs))
	var wg sync.WaitGroup
	for i, srv := range inst.srvs {
		wg.Go(func() { errs[i] = srv.Shutdown(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// finishVerdict completes the verdict and delivers it.
func (inst *Instance) finishVerdict(v *Verdict) error {
	v.Requests = inst.conns.Requests()
	v.Late = inst.conns.Late()
	v.judge()
	inst.life.deliver(*v)
	if err := inst.life.advance(StateDrained); err != nil {
		return err
	}
	if v.Cut > 0 {
		return fmt.Errorf("%w: %d after %v", ErrCut, v.Cut, inst.opts.DrainTimeout)
	}
	return nil
}

// tell lets clients and handlers know that they should move over.
func (inst *Instance) tell() {
	inst.conns.Retire()
	inst.tellHandlers()
}

func (inst *Instance) tellHandlers() {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	closeOnce(inst.retiring)
}

func (inst *Instance) untell() {
	inst.conns.Resume()
	inst.mu.Lock()
	defer inst.mu.Unlock()
	select {
	case <-inst.retiring:
		inst.retiring = make(chan struct{})
	default:
	}
}

// resume goes back to serving after a retirement was taken back.
func (inst *Instance) resume() error {
	inst.mu.Lock()
	inst.asked, inst.undo = make(chan struct{}), make(chan struct{})
	inst.mu.Unlock()
	if err := inst.life.advance(StateServing); err != nil {
		return err
	}
	return errTakenBack
}
