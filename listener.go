package overlap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ba995850/overlap/internal/listen"
)

// Listener is a net.Listener that shares its port with other releases and can
// leave it without losing a connection. It is for servers other than http.Server:
// it knows nothing of what goes on in the connections, and hands out bare
// *net.TCPConn.
type Listener struct {
	opts Options
	ln   *listen.Listener
	join sync.Once
	err  error // of join
}

var _ net.Listener = (*Listener)(nil)

// Listen listens on a TCP address that other processes of the same user may listen
// on too. Beside others that are in rotation the listener gets nothing until the
// first call of Accept: then it joins.
func Listen(ctx context.Context, network, address string) (*Listener, error) {
	return Options{}.Listen(ctx, network, address)
}

// Listen is like the function Listen, with options. Of the timeouts SettleTimeout,
// DrainTimeout and FinishTimeout count: see [Listener.Retire]. LingerTimeout does not:
// the caller decides when a connection ends.
func (o Options) Listen(ctx context.Context, network, address string) (*Listener, error) {
	ln, err := listen.Listen(ctx, network, address, listen.Config{AllowMismatch: o.AllowMismatch})
	if err != nil {
		return nil, fmt.Errorf("overlap: %w", err)
	}
	return &Listener{opts: o, ln: ln}, nil
}

// Accept returns the next connection. It returns no error because of a retirement:
// after Retire it blocks until Close.
func (l *Listener) Accept() (net.Conn, error) {
	l.join.Do(func() { l.err = l.ln.Join() })
	if l.err != nil && !errors.Is(l.err, net.ErrClosed) { // what was accepted before it left is still to be had
		return nil, fmt.Errorf("overlap: join the rotation: %w", l.err)
	}
	return l.ln.Accept()
}

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
// closed it returns net.ErrClosed. Of the hooks in Options, OnPhase and OnNotice are
// called.
func (l *Listener) Retire(ctx context.Context) (Verdict, error) {
	opts := l.opts.within(ctx)
	d := &departure{
		ports: []port{l.ln}, opts: &opts, life: &life{opts: &opts, state: StateRetiring},
		told: func() {}, untold: func() {}, began: time.Now(),
		verdict: Verdict{Release: opts.Release, Retired: true, Tier: Tier(l.ln.Tier())},
	}
	ctx, stop := context.WithTimeout(ctx, opts.DrainTimeout)
	defer stop()
	err := d.leave(ctx)
	if err == nil {
		err = ctx.Err()
	}
	d.verdict.Retired = !errors.Is(err, net.ErrClosed)
	d.verdict.judge()
	return d.verdict, err
}

// Close closes the listener at once: what the kernel still holds for it is reset.
// After Retire there is nothing left to lose.
func (l *Listener) Close() error { return l.ln.Close() }

// Addr returns the address, with the port that was chosen where 0 was asked for.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Tier says what this host offers.
func (l *Listener) Tier() Tier { return Tier(l.ln.Tier()) }
