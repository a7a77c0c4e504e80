package overlap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ba995850/overlap/internal/control"
	"github.com/ba995850/overlap/internal/listen"
)

// ErrTakenBack is returned by [Listener.Retire] when the retirement was taken back while
// the sockets were still open: the listener is in the rotation again.
var ErrTakenBack = errTakenBack

// Listener is a net.Listener that shares its port with other releases and can
// leave it without losing a connection. It is for servers other than http.Server:
// it knows nothing of what goes on in the connections, and hands out bare
// *net.TCPConn.
type Listener struct {
	opts    Options
	life    life
	orders  orders
	started time.Time
	shut    func() // closes the endpoint

	moving  sync.Mutex // held by who goes in or out of the rotation
	leaving bool       // Retire is under way. Guarded by moving, as are
	entered bool       // it has joined, or tried to, and
	err     error      // how that went

	mu    sync.Mutex
	ln    *listen.Listener // does not change once Listen has returned
	until time.Time        // when the retirement that is under way has to be over
}

var _ net.Listener = (*Listener)(nil)

// Listen listens on a TCP address that other processes of the same user may listen
// on too. Beside others that are in rotation the listener gets nothing until the
// first call of Accept: then it joins.
func Listen(ctx context.Context, network, address string) (*Listener, error) {
	return Options{}.Listen(ctx, network, address)
}

// Listen is like the function Listen, with options. Release, Dark, AllowMismatch, AllowStrangers,
// NoEndpoint and the hooks are as with an [Instance]. The listener is starting until the
// first call of Accept, and drained when Retire returns: the connections are its caller's.
// Of the timeouts SettleTimeout,
// DrainTimeout and FinishTimeout count: see [Listener.Retire]. LingerTimeout does not:
// the caller decides when a connection ends.
func (o Options) Listen(ctx context.Context, network, address string) (*Listener, error) {
	l := &Listener{opts: o, orders: newOrders(), started: time.Now()}
	l.life.opts = &l.opts
	l.shut = l.life.openEndpoint(listenerEndpoint{l}) // before the sockets, which are never a stranger's
	ln, err := listen.Listen(ctx, network, address, l.life.listenConfig())
	if err != nil {
		l.shut()
		return nil, fmt.Errorf("overlap: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ln = ln
	return l, nil
}

// Accept returns the next connection. It returns no error because of a retirement:
// after Retire it blocks until Close.
func (l *Listener) Accept() (net.Conn, error) {
	if err := l.enter(); err != nil && !errors.Is(err, net.ErrClosed) { // what was accepted before it left is still to be had
		return nil, fmt.Errorf("overlap: join the rotation: %w", err)
	}
	return l.ln.Accept()
}

// enter joins the rotation, once, unless the options say dark. One that leaves does not.
func (l *Listener) enter() error {
	l.moving.Lock()
	defer l.moving.Unlock()
	if !l.entered && !l.leaving {
		l.entered, l.err = true, l.rotation().begin()
	}
	return l.err
}

func (l *Listener) rotation() rotation { return rotation{&l.life, []*listen.Listener{l.ln}} }

// RetireAsked is closed when an operator asks the listener to leave, as "server retire"
// does. Only its caller knows how to finish the connections: wait for it beside SIGTERM,
// and call Retire. After [ErrTakenBack] it is another channel.
func (l *Listener) RetireAsked() <-chan struct{} { return l.orders.retireAsked() }

// Retire steers new connections to the other releases on the port, waits until the
// kernel holds none for this one, and closes the sockets. When it returns, every
// connection that reached the port through this listener has been returned by
// Accept, and it is up to the caller to finish them: with grpc.Server.GracefulStop,
// for example.
//
// The deadline of ctx, where it is earlier than DrainTimeout, takes its place. Of that
// time Retire leaves FinishTimeout to the caller: where nobody takes over it waits,
// accepting on, until FinishTimeout and a second for the stop are left, and an instance
// that is alone on the port leaves at once. So a ctx that bounds the whole departure
// bounds the caller's part of it too:
//
//	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
//	defer stop()
//	verdict, err := ln.Retire(ctx)
//	cut := srv.Shutdown(ctx) // or whatever finishes connections until ctx ends
//
// It returns the error of ctx when that ends first, or DrainTimeout does because nobody
// calls Accept; the sockets are closed then too. On a listener that has left or was
// closed it returns net.ErrClosed, and ErrTakenBack when the operator has changed his mind,
// or wanted it to leave to a successor only and none has come. A second call at the same
// time is an error.
func (l *Listener) Retire(ctx context.Context) (Verdict, error) {
	opts := l.opts.within(ctx)
	ctx, stop := context.WithTimeout(ctx, opts.DrainTimeout)
	defer stop()
	from, err := l.beginToLeave()
	if err != nil {
		return Verdict{Release: opts.Release, Tier: l.Tier()}, err
	}
	defer l.endToLeave()
	d := l.departure(&opts)
	d.dark = from == StateDark
	err = d.leave(ctx)
	if errors.Is(err, errTakenBack) {
		return d.verdict, l.resume(from)
	}
	if err == nil {
		err = ctx.Err()
	}
	d.verdict.Retired = !errors.Is(err, net.ErrClosed)
	d.verdict.judge()
	l.life.deliver(d.verdict)
	l.life.advance(StateDrained)
	return d.verdict, err
}

// beginToLeave returns what the listener did before. One that nobody has accepted from goes
// on starting.
func (l *Listener) beginToLeave() (from State, err error) {
	l.moving.Lock()
	defer l.moving.Unlock()
	from, _ = l.life.now()
	switch {
	case from == StateDrained:
		return from, net.ErrClosed
	case l.leaving:
		return from, errors.New("overlap: Retire was called while it retires")
	}
	l.leaving = true
	if l.life.mayTurn(StateRetiring) == nil {
		l.life.advance(StateRetiring)
	}
	return from, nil
}

func (l *Listener) endToLeave() {
	l.moving.Lock()
	defer l.moving.Unlock()
	l.leaving = false
}

// departure is the way out of a listener that begins to leave now.
func (l *Listener) departure(opts *Options) *departure {
	l.mu.Lock()
	defer l.mu.Unlock()
	began := time.Now()
	l.until = began.Add(opts.DrainTimeout)
	return &departure{
		ports: []port{l.ln}, opts: opts, life: &l.life, began: began, undo: l.orders.begin(), only: l.orders.toSuccessor,
		told: func() {}, untold: func() {},
		verdict: Verdict{Release: opts.Release, Tier: Tier(l.ln.Tier())},
	}
}

// resume goes back to what the listener did before a retirement that was taken back.
func (l *Listener) resume(to State) error {
	l.orders.obeyed()
	l.mu.Lock()
	l.until = time.Time{}
	l.mu.Unlock()
	if to == StateStarting {
		return ErrTakenBack
	}
	return errors.Join(ErrTakenBack, l.life.advance(to))
}

// Close closes the listener at once: what the kernel still holds for it is reset.
// After Retire there is nothing left to lose, and who follows it at the endpoint, which
// closes too, has the verdict.
func (l *Listener) Close() error {
	err := l.ln.Close()
	l.life.advance(StateDrained) // unless Retire has
	l.shut()
	return err
}

// Addr returns the address, with the port that was chosen where 0 was asked for.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Tier says what this host offers.
func (l *Listener) Tier() Tier { return Tier(l.ln.Tier()) }

// listenerEndpoint is a listener as its control endpoint shows it. Of what goes on in the
// connections it knows nothing.
type listenerEndpoint struct{ *Listener }

// Status says what the listener is doing.
func (e listenerEndpoint) Status() control.Status {
	s := e.life.status(e.listeners)
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Started, s.Deadline = e.started, e.until
	return s
}

// listeners are the one that there is, once there is one.
func (l *Listener) listeners() []*listen.Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ln == nil {
		return nil
	}
	return []*listen.Listener{l.ln}
}

// Retire asks whoever has the listener: see [Listener.RetireAsked].
func (e listenerEndpoint) Retire() { e.orders.retire() }

// HandOver asks for a retirement that there is only where somebody takes over.
func (e listenerEndpoint) HandOver() { e.orders.handOver() }

// TakeBack undoes a retirement while the sockets are still open. One that nobody has begun is
// not begun any more.
func (e listenerEndpoint) TakeBack() {
	e.moving.Lock()
	defer e.moving.Unlock()
	e.orders.takeBack()
	if !e.leaving {
		e.orders.obeyed()
	}
}

// Pin puts a dark listener into the rotation.
func (e listenerEndpoint) Pin() error { return e.turn(StateServing) }

// Unpin takes a listener out of the rotation, to come back.
func (e listenerEndpoint) Unpin() error { return e.turn(StateDark) }

func (e listenerEndpoint) turn(to State) error {
	if !e.moving.TryLock() {
		return fmt.Errorf("a listener that is on its way cannot become %v", to)
	}
	defer e.moving.Unlock()
	if err := e.life.mayTurn(to); err != nil {
		return err
	}
	return e.rotation().turn(to)
}

// Knock makes new connections until one has come to us.
func (e listenerEndpoint) Knock() error {
	lns := e.listeners()
	if len(lns) == 0 {
		return errors.New("it does not listen yet")
	}
	return lns[0].Knock()
}
