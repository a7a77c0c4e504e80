//go:build !go1.27

package drain

import (
	"crypto/tls"
	"net"
	"net/http"
)

// Up to Go 1.26 net/http does TLS only with a *tls.Conn, and hands HTTP/2 to the function
// that TLSNextProto has for it. There is another for HTTP/2 without TLS, which takes
// any connection, by a detour, and asks it for its ConnectionState: r.TLS is right.

// withholdPreface: that other function believes that the preface has been read.
const withholdPreface = true

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
		watched := &tlsConn{Conn: c}
		watched.speakHTTP2()
		if watched.http2 == nil { // not a connection of ours
			secure(srv, c, h)
			return
		}
		clear(srv, tls.Client(detour{watched: watched}, nil), h)
	}
}

// detour is how net/http passes a connection without TLS to a function that takes a
// *tls.Conn. No method but the last is ever called.
type detour struct {
	net.Conn
	watched net.Conn
}

func (d detour) UnencryptedNetConn() net.Conn { return d.watched }
