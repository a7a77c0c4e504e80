package drain

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patient is longer than anything here takes, and shorter than a test may hang.
const patient = 20 * time.Second

// brief is the patience of the services under test.
const brief = 200 * time.Millisecond

// service is an http.Server whose connections are in a set.
type service struct {
	*Conns
	srv  *http.Server
	addr string
	tls  bool
	hook chan http.ConnState // what the user's ConnState was told
}

// serve starts a server whose connections are in a set; servePlain, one that has
// nothing to do with us.
func serve(tb testing.TB, h http.Handler, prepare ...func(*http.Server)) *service {
	tb.Helper()
	return serveOn(tb, listenTCP(tb), true, h, prepare...)
}

func servePlain(tb testing.TB, h http.Handler, prepare ...func(*http.Server)) *service {
	tb.Helper()
	return serveOn(tb, listenTCP(tb), false, h, prepare...)
}

func serveOn(tb testing.TB, ln net.Listener, ours bool, h http.Handler, prepare ...func(*http.Server)) *service {
	tb.Helper()
	s := &service{Conns: New(), addr: ln.Addr().String(), hook: make(chan http.ConnState, 10_000)}
	s.patience = brief
	s.srv = &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	s.srv.ConnState = func(_ net.Conn, to http.ConnState) { s.hook <- to }
	for _, f := range prepare {
		f(s.srv)
	}
	s.tls = s.srv.TLSConfig != nil
	switch {
	case ours && s.tls:
		s.Attach(s.srv)
		ln = s.TLSListener(ln, s.srv.TLSConfig)
	case ours:
		s.Attach(s.srv)
		ln = s.Listener(ln)
	case s.tls:
		ln = tls.NewListener(ln, s.srv.TLSConfig)
	}
	served := make(chan error, 1)
	go func() { served <- s.srv.Serve(ln) }()
	tb.Cleanup(func() {
		s.Cut()
		s.srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("Serve: %v", err)
		}
	})
	return s
}

func listenTCP(tb testing.TB) net.Listener {
	tb.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	must(tb, err)
	return ln
}

// noHook is for more connections than anybody looks at.
func noHook(srv *http.Server) { srv.ConnState = nil }

// await waits until net/http has told the user's hook of a state.
func (s *service) await(tb testing.TB, want http.ConnState) {
	tb.Helper()
	for {
		select {
		case got := <-s.hook:
			if got == want {
				return
			}
		case <-time.After(patient):
			tb.Fatalf("no connection became %v", want)
		}
	}
}

// only returns the one connection of a set.
func only(tb testing.TB, cs *Conns) (c *Conn) {
	tb.Helper()
	n := 0
	cs.each(func(found *Conn) { c, n = found, n+1 })
	if n != 1 {
		tb.Fatalf("%d connections, want 1", n)
	}
	return c
}

func (c *Conn) state() state {
	s, _ := split(c.word.Load())
	return s
}

// in counts the connections in a state.
func (cs *Conns) in(want state) (n int) {
	cs.each(func(c *Conn) {
		if c.state() == want {
			n++
		}
	})
	return n
}

// lingerNow ends everything that is idle, and waits until the server has let go.
func (s *service) lingerNow(tb testing.TB) {
	tb.Helper()
	ctx, stop := context.WithTimeout(tb.Context(), patient)
	defer stop()
	must(tb, s.Linger(ctx, 0))
}

// leave lingers and then shuts the server down, beside the test.
func (s *service) leave(tb testing.TB, timeout time.Duration) (left chan error) {
	left = make(chan error, 1)
	go func() {
		err := s.Linger(tb.Context(), timeout)
		if err == nil {
			err = s.srv.Shutdown(tb.Context())
		}
		left <- err
	}()
	return left
}

// flushed waits until no connection is left.
func (s *service) flushed(tb testing.TB) {
	tb.Helper()
	ctx, stop := context.WithTimeout(tb.Context(), patient)
	defer stop()
	must(tb, s.Flush(ctx))
}

// client speaks HTTP/1 by hand, so that nothing is repeated behind the test's back.
type client struct {
	testing.TB
	*net.TCPConn
	r *bufio.Reader
}

func dial(tb testing.TB, addr string) *client {
	tb.Helper()
	return dialWith(tb, net.Dialer{}, addr)
}

func dialWith(tb testing.TB, d net.Dialer, addr string) *client {
	tb.Helper()
	c, err := d.DialContext(tb.Context(), "tcp", addr)
	must(tb, err)
	tb.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patient))
	return &client{tb, c.(*net.TCPConn), bufio.NewReader(c)}
}

const (
	get   = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	get10 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	post  = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
)

func (c *client) send(what string) {
	c.Helper()
	_, err := io.WriteString(c.TCPConn, what)
	must(c, err)
}

// answer reads a response and its body.
func (c *client) answer() (*http.Response, string) {
	c.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	must(c, err)
	body, err := io.ReadAll(resp.Body)
	must(c, err)
	return resp, string(body)
}

// ask sends a GET and wants it answered.
func (c *client) ask() (closes bool) {
	c.Helper()
	c.send(get)
	resp, _ := c.answer()
	return resp.Close
}

// atEnd wants the server to have ended its side, in good order.
func (c *client) atEnd() {
	c.Helper()
	if b, err := c.r.ReadByte(); err != io.EOF {
		c.Fatalf("read %q, %v where the connection should have ended", b, err)
	}
}

// open wants the connection to be open: whatever comes next is not its end.
func (c *client) open() {
	c.Helper()
	if c.ask(); c.Failed() {
		c.Fatal("the connection is not open")
	}
}

// held is a handler that says when it has begun and waits until it may go on.
type held struct{ begun, release chan struct{} }

func hold() held { return held{make(chan struct{}), make(chan struct{})} }

func (h held) wait() {
	h.begun <- struct{}{}
	<-h.release
}

func (h held) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h.wait()
	io.WriteString(w, "held")
}

// paths is a handler for each path.
func paths(m map[string]http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	for path, h := range m {
		mux.HandleFunc(path, h)
	}
	return mux
}

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

func hijack(tb testing.TB, w http.ResponseWriter) net.Conn {
	tb.Helper()
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		tb.Errorf("hijack: %v", err)
	}
	return c
}

// path turns a request for / into one for another path.
func path(req, p string) string { return strings.Replace(req, " / ", " "+p+" ", 1) }

// eventually looks until something is so. It is for what the kernel does, which
// nobody tells us of.
func eventually(tb testing.TB, what string, so func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(patient)
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			tb.Fatalf("it never came to be that %s", what)
		}
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Fatalf("%s: %+v, want %+v", what, got, want)
	}
}

// tcpPair returns the two ends of a connection. The set knows of neither.
func tcpPair(tb testing.TB) (server *net.TCPConn, peer *client) {
	tb.Helper()
	ln := listenTCP(tb)
	defer ln.Close()
	peer = dial(tb, ln.Addr().String())
	c, err := ln.Accept()
	must(tb, err)
	tb.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn), peer
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
