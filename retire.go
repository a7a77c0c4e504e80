package overlap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

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
