//go:build !go1.27

package drain

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Up to Go 1.26 net/http does TLS only with a *tls.Conn, and hands HTTP/2 to the function
// that TLSNextProto has for it. There is another for HTTP/2 without TLS, which takes
// any connection, by a detour, and asks it for its ConnectionState: r.TLS is right.

func listenTLS(ln net.Listener, cfg *tls.Config) net.Listener { return tls.NewListener(ln, cfg) }

// watchTLS puts itself between net/http and its HTTP/2, or another that was registered.
func (cs *Conns) watchTLS(srv *http.Server, _ net.Listener) {
	secure, clear := srv.TLSNextProto["h2"], srv.TLSNextProto["unencrypted_http2"]
	if secure == nil {
		return
	}
	if clear == nil {
		cs.oneStep.Store(true)
		return
	}
	srv.TLSNextProto["h2"] = func(srv *http.Server, c *tls.Conn, h http.Handler) {
		if unwrap(c) == nil { // not a connection of ours
			secure(srv, c, h)
			return
		}
		watched := &tlsConn{Conn: c}
		if watched.awaitPreface(max(prefaceTimeout, srv.ReadHeaderTimeout)) != nil {
			return // net/http closes it
		}
		watched.speakHTTP2()
		clear(srv, tls.Client(detour{watched: watched}, nil), h)
	}
}

// prefaceTimeout is net/http's own, for servers that do not give a request longer.
const prefaceTimeout = 10 * time.Second

// awaitPreface reads the preface before net/http believes that it was read: from then on
// it gives a client's SETTINGS 2s, and on a slow network the preface is on its way.
func (c *tlsConn) awaitPreface(within time.Duration) error {
	defer time.AfterFunc(within, func() { c.Conn.Close() }).Stop()
	var buf [len(preface)]byte
	for c.greeted < len(preface) {
		n, err := c.Conn.Read(buf[:len(preface)-c.greeted])
		if _, ok := c.greet(buf[:n]); !ok {
			return errGreeting
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// detour is how net/http passes a connection without TLS to a function that takes a
// *tls.Conn. No method but the last is ever called.
type detour struct {
	net.Conn
	watched net.Conn
}

func (d detour) UnencryptedNetConn() net.Conn { return d.watched }
