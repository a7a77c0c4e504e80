package drain

import (
	"crypto/tls"
	"errors"
	"net"
)

// tlsConn is a TLS connection whose frames are watched where it speaks HTTP/2. How
// net/http is brought to use it is in tls_go126.go and tls_go127.go.
type tlsConn struct {
	*tls.Conn
	http2   *http2 // nil: HTTP/1, or no handshake yet
	greeted int    // bytes of the preface that were read
}

var errGreeting = errors.New("http2: the client does not begin as HTTP/2 does")

// speakHTTP2 says that the handshake has led to HTTP/2.
func (c *tlsConn) speakHTTP2() {
	if conn := unwrap(c.Conn); conn != nil {
		c.http2 = conn.speakHTTP2(c.Conn)
	}
}

func (c *tlsConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if c.http2 == nil || n == 0 {
			return n, err
		}
		k, ok := c.greet(p[:n])
		if !ok {
			return 0, errGreeting
		}
		heard := c.http2.heard(p[k:n])
		if heard {
			return n, err
		}
		if err != nil {
			return 0, err
		}
	}
}

// greet returns how much of what was read is preface, or false where it is something
// else.
func (c *tlsConn) greet(what []byte) (n int, ok bool) {
	n = min(len(what), len(preface)-c.greeted)
	ok = string(what[:n]) == preface[c.greeted:c.greeted+n]
	c.greeted += n
	return n, ok
}

func (c *tlsConn) Write(p []byte) (int, error) {
	if c.http2 == nil {
		return c.Conn.Write(p)
	}
	return c.http2.write(p)
}

// usersConn is a connection as hooks of the user's know it.
func usersConn(nc net.Conn) net.Conn {
	if c, ok := nc.(*tlsConn); ok {
		return c.Conn
	}
	return nc
}
