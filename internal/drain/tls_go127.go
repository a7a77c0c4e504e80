//go:build go1.27

package drain

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
)

// Since Go 1.27 net/http does TLS, and HTTP/2 over it, with whatever connection has
// HandshakeContext and ConnectionState.

// withholdPreface: net/http reads the preface itself.
const withholdPreface = false

func listenTLS(ln net.Listener, cfg *tls.Config) net.Listener { return &tlsListener{ln, cfg} }

type tlsListener struct {
	net.Listener
	cfg *tls.Config
}

// Accept returns a *tls.Conn where HTTP/2 is not offered: TLSNextProto's functions for
// other protocols take no other.
func (l *tlsListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := tls.Server(nc, l.cfg)
	if l.cfg.GetConfigForClient == nil && !slices.Contains(l.cfg.NextProtos, "h2") {
		return c, nil
	}
	return &tlsConn{Conn: c}, nil
}

func (c *tlsConn) HandshakeContext(ctx context.Context) error {
	err := c.Conn.HandshakeContext(ctx)
	if err == nil && c.ConnectionState().NegotiatedProtocol == "h2" {
		c.speakHTTP2()
	}
	return err
}

func (*Conns) watchTLS(*http.Server) {}
