// Package drain is the connections of an http.Server: it knows what each one is
// doing, exactly, and ends them without losing a request.
//
// net/http's own end, Shutdown, closes idle connections on which a request may
// be on its way, and throws away requests on young ones (golang/go#75591). So it
// comes last here, when nothing is left for it to surprise: [Conns.Retire] tells
// clients to move over, [Conns.Linger] closes what has been idle for long and waits
// until HTTP/2 clients have heard, then comes Shutdown, then [Conns.Flush] waits until
// all that was sent is acknowledged, and [Conns.Cut] ends what is left.
//
// It knows nothing of listening sockets and nothing of the states of an instance.
package drain

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Conns are the connections of one or more http.Servers. The state of each lives
// in the connection itself; they are linked, not mapped, so that ten thousand
// idle ones cost next to nothing.
type Conns struct {
	epoch    time.Time     // stamps count from here
	patience time.Duration // const but for tests
	retired  atomic.Int64  // the stamp of Retire; 0: not retiring
	clock    atomic.Int64  // a stamp that Tick renews, or exact
	live     atomic.Int64  // connections that Linger waits for
	late     atomic.Int64

	lingered atomic.Bool // Linger has returned: Shutdown may throw away requests
	cut      atomic.Bool
	oneStep  atomic.Bool // there is HTTP/2 that http2 does not watch

	mu       sync.Mutex
	head     *Conn
	requests int64         // answered on connections that are gone
	left     chan struct{} // has an element when one has gone since it was last looked at
}

// New returns an empty set.
func New() *Conns {
	cs := &Conns{epoch: time.Now(), patience: patience, left: make(chan struct{}, 1)}
	cs.clock.Store(cs.now())
	return cs
}

// Listener returns ln with each connection in the set from Accept on: a ConnState
// hook alone would have a window between accept and StateNew.
func (cs *Conns) Listener(ln net.Listener) net.Listener { return &listener{Listener: ln, conns: cs} }

// TLSListener is Listener with TLS over each connection.
func (cs *Conns) TLSListener(ln net.Listener, cfg *tls.Config) net.Listener {
	return listenTLS(&listener{Listener: ln, conns: cs, secure: true}, cfg)
}

type listener struct {
	net.Listener
	conns  *Conns
	secure bool
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return l.conns.add(tcp, l.secure), nil
	}
	return c, err
}

// Attach makes srv tell the set what its connections do. It wraps the server's
// Handler, ConnState, ConnContext and BaseContext, which keep working, and must be
// called before the server serves.
func (cs *Conns) Attach(srv *http.Server) {
	srv.Handler = cs.handler(srv.Handler)
	srv.ConnState = hook(srv.ConnState)
	srv.ConnContext = connContext(srv.ConnContext)
	srv.BaseContext = cs.baseContext(srv)
}

// baseContext is where a server has decided about HTTP/2, and has not accepted yet.
func (cs *Conns) baseContext(srv *http.Server) func(net.Listener) context.Context {
	next := srv.BaseContext
	return func(ln net.Listener) context.Context {
		cs.watchTLS(srv, ln)
		if next != nil {
			return next(ln)
		}
		return context.Background()
	}
}

func hook(next func(net.Conn, http.ConnState)) func(net.Conn, http.ConnState) {
	return func(nc net.Conn, to http.ConnState) {
		if c := unwrap(nc); c != nil {
			c.enter(to)
		}
		if next != nil {
			next(usersConn(nc), to)
		}
	}
}

// unwrap finds our connection under TLS.
func unwrap(nc net.Conn) *Conn {
	for {
		switch c := nc.(type) {
		case *Conn:
			return c
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return nil
		}
	}
}

type connKey struct{}

func connContext(next func(context.Context, net.Conn) context.Context) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, nc net.Conn) context.Context {
		if next != nil {
			ctx = next(ctx, usersConn(nc))
		}
		if c := unwrap(nc); c != nil {
			ctx = context.WithValue(ctx, connKey{}, c)
		}
		return ctx
	}
}

// handler counts requests and, while retiring, asks HTTP/1 clients to close. It
// passes the ResponseWriter on as it is: a wrapper would lose sendfile and the
// interfaces that the writer has. Where the header cannot say it, because it has
// gone out before or the handler says otherwise, the clock of the connection does.
func (cs *Conns) handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(connKey{}).(*Conn)
		// On HTTP/2 a handler may begin after the last stream has ended: there
		// only net/http knows.
		if c != nil && r.ProtoMajor == 1 && !c.begin() {
			panic(http.ErrAbortHandler)
		}
		// On HTTP/2 the header would start net/http's GOAWAY, which loses streams.
		if cs.retired.Load() != 0 && r.ProtoMajor == 1 && r.Header["Upgrade"] == nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
		if c != nil && !c.gone() {
			c.requests.Add(1) // of HTTP/2 it is http2 that counts them
			cs.noteProtocol(r)
		}
	})
}

// noteProtocol sees HTTP/2 that net/http serves on a connection that we take for
// HTTP/1: a future Go may do that, or another implementation.
func (cs *Conns) noteProtocol(r *http.Request) {
	if r.ProtoMajor == 2 && r.Method != "PRI" { // which is half a preface, that net/http takes for a request
		cs.oneStep.Store(true)
	}
}

// OneStep says whether there is HTTP/2 that ends in one step, as net/http does it:
// streams that cross the end are lost, and not counted.
func (cs *Conns) OneStep() bool { return cs.oneStep.Load() }

func (cs *Conns) add(tcp *net.TCPConn, secure bool) *Conn {
	c := &Conn{TCPConn: tcp, conns: cs, secure: secure}
	c.word.Store(cs.word(fresh))
	cs.live.Add(1)
	cs.link(c)
	if cs.cut.Load() {
		c.end()
	}
	return c
}

func (cs *Conns) link(c *Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.next = cs.head
	if cs.head != nil {
		cs.head.prev = c
	}
	cs.head = c
}

func (cs *Conns) remove(c *Conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.requests += c.requests.Load()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		cs.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	cs.noteLeft()
}

func (cs *Conns) noteLeft() {
	select {
	case cs.left <- struct{}{}:
	default:
	}
}

// each calls f for each connection. f must not add or remove one.
func (cs *Conns) each(f func(*Conn)) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := cs.head; c != nil; c = c.next {
		f(c)
	}
}

// Count says how many connections are in which state.
type Count struct {
	Fresh    int // new: no whole request yet
	Active   int // a request is being answered
	Idle     int // kept alive between requests
	Hijacked int // in the hands of a handler
	Closing  int // closed by us, not yet by the peer
}

// Count counts the connections.
func (cs *Conns) Count() (n Count) {
	cs.each(func(c *Conn) {
		switch state, _ := split(c.word.Load()); state {
		case fresh, reading:
			n.Fresh++
		case whole, active:
			n.Active++
		case streams, moving, moved:
			if c.http2.Load().busy() {
				n.Active++
			} else {
				n.Idle++
			}
		case idle:
			n.Idle++
		case hijacked:
			n.Hijacked++
		case halfClosed, flushing:
			n.Closing++
		}
	})
	return n
}

// Oldest returns the age of the oldest request in flight, to a tick; 0 if there is none. One
// on HTTP/1 counts from when its header had been read, on HTTP/2 from when that began, to
// the end of the answer: an event stream is as old as it is long. What a handler has
// hijacked is no request any more.
func (cs *Conns) Oldest() time.Duration {
	now := cs.now()
	oldest := now
	cs.each(func(c *Conn) {
		switch state, since := split(c.word.Load()); state {
		case whole, active:
			oldest = min(oldest, since)
		case streams, moving, moved:
			oldest = min(oldest, c.http2.Load().oldest(now))
		}
	})
	return time.Duration(now - oldest)
}

// Requests returns how many requests were answered. A handler that panicked has
// not answered, and one that hijacked its connection is no longer our business.
func (cs *Conns) Requests() int64 {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	sum := cs.requests
	for c := cs.head; c != nil; c = c.next {
		sum += c.requests.Load()
	}
	return sum
}

// Late returns how many requests crossed our close of an idle connection.
func (cs *Conns) Late() int { return int(cs.late.Load()) }
