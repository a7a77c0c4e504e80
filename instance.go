package overlap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ba995850/overlap/internal/drain"
	"github.com/ba995850/overlap/internal/listen"
)

// ErrMismatch is returned when an address would overlap with a listener of the
// same user without sharing with it. Linux allows that: the more specific or the
// newer one takes the connections of both, without a word.
var ErrMismatch = listen.ErrMismatch

// Instance is one running process of a release. Most programs need only [Serve]
// or [ListenAndServe]; an Instance is for those that ask for its state, or
// steer its end themselves.
type Instance struct {
	opts   Options
	life   life
	orders orders
	conns  *drain.Conns
	srvs   []*http.Server
	tls    []bool     // which of them speak TLS
	done   chan error // what each server's Serve returned

	mu       sync.Mutex
	served   bool
	started  time.Time
	left     time.Time // when the retirement that is under way began
	lns      []*listen.Listener
	cut      chan struct{} // closed by Cut
	turns    chan turn     // in and out of the rotation
	over     chan struct{} // closed when Serve has returned
	retiring chan struct{} // closed when connections are told: see Retiring
}

// New returns an instance that has not begun to serve.
func New(opts Options) *Instance {
	inst := &Instance{
		opts:     opts.withDefaults(),
		orders:   newOrders(),
		conns:    drain.New(),
		cut:      make(chan struct{}),
		turns:    make(chan turn),
		over:     make(chan struct{}),
		retiring: make(chan struct{}),
	}
	inst.life.opts = &inst.opts
	return inst
}

// Serve listens on the Addr of each server, joins the rotation when all of them
// accept, and serves until the instance has retired or one of the servers ends by
// itself. It may be called once. It returns nil when the retirement cut nothing,
// ErrCut when it did, and http.ErrServerClosed when one of the servers was shut
// down by a call of its own method; any other error means that the instance could
// not listen or serve.
//
// A server whose TLSConfig has a certificate (Certificates, GetCertificate or
// GetConfigForClient) speaks TLS. Serve replaces TLSConfig by a clone, which is the one
// in use: once the instance serves, srv.TLSConfig.SetSessionTicketKeys changes the keys.
//
// Serve takes over each server: it wraps Handler, ConnState, ConnContext and
// BaseContext, all of which keep working.
func (inst *Instance) Serve(srvs ...*http.Server) error {
	if err := inst.begin(srvs); err != nil {
		return err
	}
	defer inst.conns.Tick()()
	defer inst.life.openEndpoint(endpoint{inst})()
	defer close(inst.over)
	if err := inst.listen(); err != nil {
		inst.life.advance(StateDrained)
		return err
	}
	inst.serve()
	if err := inst.join(); err != nil {
		return inst.abort(err)
	}
	for {
		select {
		case err := <-inst.done:
			return inst.abort(err)
		case t := <-inst.turns:
			t.done <- inst.rotation().turn(t.to)
			continue
		case <-inst.orders.retireAsked():
		}
		if err := inst.retire(); !errors.Is(err, errTakenBack) {
			return err
		}
	}
}

func (inst *Instance) begin(srvs []*http.Server) error {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.served {
		return errors.New("overlap: Serve was called twice")
	}
	if len(srvs) == 0 {
		return errors.New("overlap: Serve needs a server")
	}
	inst.served, inst.started, inst.srvs = true, time.Now(), srvs
	inst.done = make(chan error, len(srvs))
	for _, srv := range srvs {
		inst.tls = append(inst.tls, hasCertificate(srv.TLSConfig))
	}
	return nil
}

// listen opens the listeners, all or none.
func (inst *Instance) listen() error {
	var lns []*listen.Listener
	for _, srv := range inst.srvs {
		addr := cmp.Or(srv.Addr, defaultAddr(srv))
		ln, err := listen.Listen(context.Background(), "tcp", addr, inst.life.listenConfig())
		if err == nil {
			lns = append(lns, ln)
			err = onlyOnce(lns)
		}
		if err != nil {
			closeAll(lns)
			return fmt.Errorf("overlap: %w", err)
		}
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.lns = lns
	return nil
}

// onlyOnce refuses the last listener where another one has its address, however that was
// written: the kernel would share the connections out among the two.
func onlyOnce(lns []*listen.Listener) error {
	last := lns[len(lns)-1].Addr()
	for _, ln := range lns[:len(lns)-1] {
		if ln.Addr().String() == last.String() {
			return fmt.Errorf("two servers on one address, %v: give each its own", last)
		}
	}
	return nil
}

// defaultAddr is what net/http listens on where no address is said.
func defaultAddr(srv *http.Server) string {
	if hasCertificate(srv.TLSConfig) {
		return ":https"
	}
	return ":http"
}

func closeAll(lns []*listen.Listener) {
	for _, ln := range lns {
		ln.Close()
	}
}

// serve starts the servers.
func (inst *Instance) serve() {
	for i, srv := range inst.srvs {
		inst.conns.Attach(srv)
		srv.BaseContext = inst.baseContext(srv.BaseContext)
		ln := inst.conns.Listener(inst.lns[i])
		if secure(srv) {
			ln = inst.conns.TLSListener(inst.lns[i], srv.TLSConfig)
		}
		go func() { inst.done <- srv.Serve(ln) }()
	}
}

// join puts the instance into the rotation once every server accepts.
func (inst *Instance) join() error {
	for _, ln := range inst.lns {
		select {
		case <-ln.Asked():
		case err := <-inst.done:
			return err
		}
	}
	if t := inst.Tier(); !t.Lossless {
		inst.life.notice("retirements will not be lossless here: %s", t.Why)
	}
	if inst.conns.OneStep() {
		inst.life.notice("retirements will not be lossless: %s", oneStepDoubt)
	}
	return inst.rotation().begin()
}

// abort ends an instance of which one server has ended without being retired.
func (inst *Instance) abort(err error) error {
	ctx, stop := inst.deadline(inst.opts.DrainTimeout)
	defer stop()
	d := inst.departure()
	d.verdict.doubt("not retired: " + err.Error())
	inst.tell()
	if cut := inst.finish(ctx, d); errors.Is(cut, ErrCut) {
		return errors.Join(err, cut)
	}
	return err
}

// Retire begins the retirement, as SIGTERM does in [ListenAndServe]. It returns at
// once; Serve returns when the retirement is over. A second call changes nothing.
func (inst *Instance) Retire() { inst.orders.retire() }

// HandOver is Retire where somebody takes over: the instance waits for a successor as long
// as DrainTimeout allows, as with Retire, and if none has come by then it stays, as if TakeBack had
// been called. It is for whoever has started the successor, which may end before it has
// taken over.
func (inst *Instance) HandOver() { inst.orders.handOver() }

// TakeBack undoes a retirement while its listeners are still open: the instance
// goes back into the rotation and serves on. Whether it did is seen by its state.
func (inst *Instance) TakeBack() { inst.orders.takeBack() }

// Cut ends the retirement, or the instance, now: what is left is closed and
// counted.
func (inst *Instance) Cut() {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	closeOnce(inst.cut)
	inst.orders.begin()
}

// State returns where the instance is in its life.
func (inst *Instance) State() State {
	s, _ := inst.life.now()
	return s
}

// Phase returns what a retiring instance is doing.
func (inst *Instance) Phase() Phase {
	_, p := inst.life.now()
	return p
}

// Tier says what this host offers. It is known from the first change of state on.
func (inst *Instance) Tier() Tier {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	return tierOf(inst.lns)
}

// Addrs returns the addresses that the instance listens on, in the order of the
// servers.
func (inst *Instance) Addrs() []net.Addr {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	addrs := make([]net.Addr, len(inst.lns))
	for i, ln := range inst.lns {
		addrs[i] = ln.Addr()
	}
	return addrs
}

// Requests returns how many requests were answered so far.
func (inst *Instance) Requests() int64 { return inst.conns.Requests() }

type instanceKey struct{}

func (inst *Instance) baseContext(next func(net.Listener) context.Context) func(net.Listener) context.Context {
	return func(ln net.Listener) context.Context {
		ctx := context.Background()
		if next != nil {
			ctx = next(ln)
		}
		return context.WithValue(ctx, instanceKey{}, inst)
	}
}

// Retiring returns a channel that is closed when the instance that serves ctx, the
// context of a request, has begun to leave: new connections go to others already,
// so a client that is told to come again finds the successor. Handlers that live
// long (SSE, WebSocket, long polls) wait for it beside whatever else they wait for.
// Where ctx is not of a request that an instance serves, it is never closed.
//
// A function that was registered with http.Server.RegisterOnShutdown is called, too, but
// by Shutdown, which comes last: after LingerTimeout, and where the request that waits for
// it is what the instance lingers for, when DrainTimeout less FinishTimeout is over.
//
// In gin, ctx is c.Request.Context().
func Retiring(ctx context.Context) <-chan struct{} {
	inst, ok := ctx.Value(instanceKey{}).(*Instance)
	if !ok {
		return nil
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	return inst.retiring
}
