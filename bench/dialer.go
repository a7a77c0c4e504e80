package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/ba995850/overlap/bench/wire"
)

// dialer opens the connections of one client.
type dialer struct {
	// addr is an IP address and port, see target.addr.
	addr string
	// wire is what the client is at the near end of, or nil: the host's own network.
	wire *wire.Wire
	// tls is nil for clear text.
	tls *tls.Config
	// source is the client's own address, or nil: the kernel's choice. One address
	// has some 28 000 ports, and what has closed keeps its port for a minute.
	source net.Addr
	// opened numbers the connections of a run; nil: nobody asks.
	opened *atomic.Int64
}

// number returns the number of a connection that was just opened.
func (d dialer) number() int64 {
	if d.opened == nil {
		return 0
	}
	return d.opened.Add(1)
}

// placed returns the dialer of a kind's client number i. Where there are many, they
// call from 100 addresses, if the server is on loopback, which has them.
func (d dialer) placed(k kind, i int) dialer {
	host, _, _ := net.SplitHostPort(d.addr) // it has been dialled before
	if ip := net.ParseIP(host).To4(); k.many && ip != nil && ip.IsLoopback() {
		d.source = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%100))}
	}
	return d
}

// dial returns a connection that is ready for the first byte of a request.
func (d dialer) dial(deadline time.Time) (net.Conn, error) {
	conn, err := d.connect(deadline)
	if err != nil || d.tls == nil {
		return conn, err
	}
	secure := tls.Client(conn, d.tls)
	if err := shakeHands(secure, deadline); err != nil {
		conn.Close()
		return nil, fmt.Errorf("shake hands: %w", err)
	}
	return secure, nil
}

func (d dialer) connect(deadline time.Time) (net.Conn, error) {
	if d.wire != nil {
		return d.wire.Dial(d.addr, deadline)
	}
	dialer := net.Dialer{Deadline: deadline, KeepAlive: -1, LocalAddr: d.source}
	return dialer.Dial("tcp", d.addr)
}

func shakeHands(conn *tls.Conn, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	return conn.Handshake()
}

// speaking returns the same dialer for clients of one protocol, by its name in
// ALPN. Without TLS the server hears from the first bytes what is spoken.
func (d dialer) speaking(protocol string) dialer {
	if d.tls != nil {
		d.tls = d.tls.Clone()
		d.tls.NextProtos = []string{protocol}
	}
	return d
}

// socket returns what is below TLS, if there is any.
func socket(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}
