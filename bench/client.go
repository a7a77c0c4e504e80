package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"time"
)

// client is one HTTP/1 connection at a time, dialled again when the server has
// ended it.
//
// It does by hand what http.Transport does, but for one thing: it never tries
// twice. Transport silently repeats a request whose kept connection breaks, and
// with it hides the very loss that is looked for here.
type client struct {
	dialer  dialer
	timeout time.Duration

	conn net.Conn // nil: none
	no   int64    // of conn, see dialer.number
	in   *bufio.Reader
	body bytes.Buffer
}

// answer is what came back. Its body is valid until the next exchange.
type answer struct {
	status  int
	release string
	body    []byte
	last    bool  // the server said that it closes the connection
	conn    int64 // the number of the connection it came on
}

func newClient(d dialer, timeout time.Duration) *client {
	return &client{dialer: d, timeout: timeout, in: bufio.NewReaderSize(nil, 4096)}
}

// exchange sends one request and reads its answer whole.
func (c *client) exchange(wire []byte, last bool) (answer, error) {
	return c.converse(last, func() (answer, error) {
		if err := c.send(wire); err != nil {
			return answer{}, err
		}
		return c.receive()
	})
}

// converse makes sure that there is a connection, on which talk then has the
// client's timeout. The connection is kept unless the request was its last, or
// the answer says so.
func (c *client) converse(last bool, talk func() (answer, error)) (answer, error) {
	deadline := time.Now().Add(c.timeout)
	if err := c.connect(deadline); err != nil {
		return answer{}, err
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return answer{conn: c.no}, err
	}
	a, err := talk()
	a.conn = c.no
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
	conn, err := c.dialer.dial(deadline)
	if err != nil {
		return err
	}
	c.conn, c.no = conn, c.dialer.number()
	c.in.Reset(conn)
	return nil
}

func (c *client) send(wire []byte) error {
	if _, err := c.conn.Write(wire); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// receive reads an answer whole.
func (c *client) receive() (answer, error) {
	c.body.Reset()
	return c.stream(func(resp *http.Response) error {
		_, err := c.body.ReadFrom(resp.Body)
		return err
	})
}

// stream reads the head of an answer, and lets read have the rest.
func (c *client) stream(read func(*http.Response) error) (answer, error) {
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return answer{}, fmt.Errorf("read the head: %w", err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, release: resp.Header.Get("Release"), last: resp.Close}
	if err := read(resp); err != nil {
		return a, fmt.Errorf("read the body: %w", err)
	}
	a.body = c.body.Bytes()
	return a, nil
}

// close ends the connection; there may be none.
func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
