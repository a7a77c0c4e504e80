//go:build go1.27

package drain

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// Since Go 1.27 net/http does TLS, and HTTP/2 over it, with whatever connection has
// HandshakeContext and ConnectionState.

func listenTLS(ln net.Listener, cfg *tls.Config) net.Listener {
	return &tlsListener{Listener: ln, cfg: cfg}
}

type tlsListener struct {
	net.Listener
	cfg  *tls.Config
	bare bool // there are functions of the user's that take nothing but a *tls.Conn
}

// Accept returns a *tls.Conn where there is no HTTP/2 to watch.
func (l *tlsListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := tls.Server(nc, l.cfg)
	if l.bare || !l.offersHTTP2() {
		return c, nil
	}
	return &tlsConn{Conn: c}, nil
}

func (l *tlsListener) offersHTTP2() bool {
	return l.cfg.GetConfigForClient != nil || slices.Contains(l.cfg.NextProtos, "h2")
}

func (c *tlsConn) HandshakeContext(ctx context.Context) error {
	err := c.Conn.HandshakeContext(ctx)
	if err == nil && c.ConnectionState().NegotiatedProtocol == "h2" {
		c.speakHTTP2()
	}
	return err
}

// watchTLS leaves to the user what he serves by functions of his own.
func (cs *Conns) watchTLS(srv *http.Server, ln net.Listener) {
	l, ok := ln.(*tlsListener)
	if !ok || !hasOwn(srv.TLSNextProto) {
		return
	}
	l.bare = true
	if l.offersHTTP2() {
		cs.oneStep.Store(true)
	}
}

// hasOwn says whether one of the functions is not net/http's. It has one for HTTP/2, also
// where golang.org/x/net/http2 has configured the server, which is never called.
func hasOwn(next map[string]func(*http.Server, *tls.Conn, http.Handler)) bool {
	for _, f := range next {
		if !strings.HasPrefix(runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name(), "net/http.") {
			return true
		}
	}
	return false
}
