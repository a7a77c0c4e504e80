package overlap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// retire runs a whole retirement of the instance.
func (inst *Instance) retire() error {
	from := inst.State()
	if err := inst.life.advance(StateRetiring); err != nil {
		return err
	}
	ctx, stop := inst.deadline(inst.opts.DrainTimeout)
	defer stop()
	d := inst.departure()
	d.dark = from == StateDark
	if inst.opts.Plain {
		d.verdict.doubt("closed and shut down, as Plain asks for")
		inst.tellHandlers()
		return inst.finish(ctx, d)
	}
	err := d.leave(ctx)
	if errors.Is(err, errTakenBack) {
		return inst.resume(from)
	}
	d.verdict.Retired = !errors.Is(err, net.ErrClosed)
	inst.tell() // also where nobody took over
	inst.linger(ctx, d)
	inst.noteServersThatEnded(d)
	return inst.finish(ctx, d)
}

// departure is the way out of an instance that begins to leave now.
func (inst *Instance) departure() *departure {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.left = time.Now()
	return &departure{
		ports: portsOf(inst.lns), opts: &inst.opts, life: &inst.life, began: inst.left, undo: inst.orders.begin(), only: inst.orders.toSuccessor,
		told: inst.tell, untold: inst.untell,
		verdict: Verdict{Release: inst.opts.Release, Tier: tierOf(inst.lns)},
	}
}

// oneStepDoubt is why a verdict cannot vouch for HTTP/2 that net/http, or another
// implementation, ends without us.
const oneStepDoubt = "HTTP/2 connections could not be watched and end in one step: streams that cross it are lost, and not counted"

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
	if len(d.steered) == 0 {
		timeout = 0
	}
	d.timed(PhaseLinger, func() error {
		ctx, stop := context.WithDeadline(ctx, d.lastLinger())
		defer stop()
		return inst.conns.Linger(ctx, timeout)
	})
}

// noteServersThatEnded sees that the user has called Shutdown or Close of a server
// himself while we were leaving: what that cut, nobody has counted.
func (inst *Instance) noteServersThatEnded(d *departure) {
	select {
	case err := <-inst.done:
		d.verdict.Retired = false
		d.verdict.doubt("a server was ended by somebody else: " + err.Error())
	default:
	}
}

// finish shuts the servers down, flushes, cuts what is left at the deadline, and
// delivers the verdict.
func (inst *Instance) finish(ctx context.Context, d *departure) error {
	d.timed(PhaseFinish, func() error {
		ctx, stop := context.WithTimeout(ctx, inst.opts.FinishTimeout)
		defer stop()
		return inst.shutDown(ctx)
	})
	if d.timed(PhaseFlush, func() error { return inst.conns.Flush(ctx) }) != nil {
		d.timed(PhaseCut, func() error {
			d.verdict.Cut, d.verdict.Unacknowledged = inst.conns.Cut()
			return nil
		})
	}
	return inst.deliver(d)
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

// deliver completes the verdict and hands it over.
func (inst *Instance) deliver(d *departure) error {
	v := &d.verdict
	v.Requests = inst.conns.Requests()
	v.Late = inst.conns.Late()
	if inst.conns.OneStep() {
		v.doubt(oneStepDoubt)
	}
	v.judge()
	inst.life.deliver(*v)
	if err := inst.life.advance(StateDrained); err != nil {
		return err
	}
	if v.Cut > 0 || v.Unacknowledged > 0 {
		return fmt.Errorf("%w after %v: %s", ErrCut, time.Since(d.began).Round(time.Millisecond), v.Reason)
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

// resume goes back to what the instance did before a retirement that was taken back.
func (inst *Instance) resume(to State) error {
	inst.orders.obeyed()
	inst.mu.Lock()
	inst.left = time.Time{}
	inst.mu.Unlock()
	if err := inst.life.advance(to); err != nil {
		return err
	}
	return errTakenBack
}
