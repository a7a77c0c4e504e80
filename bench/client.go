package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"time"
)

// client is one HTTP/1.1 connection at a time, dialled again when the server
// has ended it.
//
// It does by hand what http.Transport does, but for one thing: it never tries
// twice. Transport silently repeats a request whose kept connection breaks, and
// with it hides the very loss that is looked for here.
type client struct {
	addr    string // IP and port, see target.addr
	timeout time.Duration

	conn net.Conn // nil: none
	in   *bufio.Reader
	body bytes.Buffer
}

// answer is what came back. Its body is valid until the next exchange.
type answer struct {
	status  int
	release string
	body    []byte
	last    bool // the server said that it closes the connection
}

func newClient(addr string, timeout time.Duration) *client {
	return &client{addr: addr, timeout: timeout, in: bufio.NewReaderSize(nil, 4096)}
}

// exchange sends one request and reads its answer whole. The connection is kept
// unless the request was its last, or the answer says so.
func (c *client) exchange(wire []byte, last bool) (answer, error) {
	deadline := time.Now().Add(c.timeout)
	if err := c.connect(deadline); err != nil {
		return answer{}, err
	}
	a, err := c.roundTrip(wire, deadline)
	if err != nil || last || a.last {
		c.close()
	}
	return a, err
}

// connect makes sure that there is a connection to send on. One that the server
// ended while it was idle is replaced, as every connection pool does: nothing
// was sent, so nothing is lost. From the first byte on, an end is a loss.
func (c *client) connect(deadline time.Time) error {
	if c.conn != nil && ended(c.conn) {
		c.close()
	}
	if c.conn != nil {
		return nil
	}
	dialer := net.Dialer{Deadline: deadline, KeepAlive: -1}
	conn, err := dialer.Dial("tcp", c.addr)
	if err != nil {
		return err
	}
	c.conn = conn
	c.in.Reset(conn)
	return nil
}

func (c *client) roundTrip(wire []byte, deadline time.Time) (answer, error) {
	if err := c.conn.SetDeadline(deadline); err != nil {
		return answer{}, err
	}
	if _, err := c.conn.Write(wire); err != nil {
		return answer{}, fmt.Errorf("send: %w", err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return answer{}, fmt.Errorf("read the head: %w", err)
	}
	defer resp.Body.Close()
	c.body.Reset()
	if _, err := c.body.ReadFrom(resp.Body); err != nil {
		return answer{}, fmt.Errorf("read the body: %w", err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Release"), c.body.Bytes(), resp.Close}, nil
}

// close ends the connection; there may be none.
func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
