package cost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	request  = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
	greeting = "hello from %s\n"
)

// releases are those that may answer: without upgrades all are the first.
var releases = []string{"v1", "v2"}

// patience is how long an answer may take: nobody is upgraded here.
const patience = 10 * time.Second

// caller is one client, with one connection at a time.
type caller struct {
	addr string
	from net.Addr // nil: the kernel's choice
	conn net.Conn // nil: none
	in   *bufio.Reader

	release string // that has answered
}

// newCaller returns the caller of a number. They have a hundred addresses: one has some 28 000
// ports, and what has closed keeps its port for a minute.
func newCaller(addr string, i int) *caller {
	return &caller{addr: addr, from: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%100))}}
}

// ask sends the request, on the connection that there is, and reads the answer.
func (c *caller) ask() error {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(c.conn, request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	c.release = resp.Header.Get("Release")
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || string(body) != fmt.Sprintf(greeting, c.release) || !slices.Contains(releases, c.release):
		return fmt.Errorf("it answers %s, %q", resp.Status, body)
	case resp.Close:
		return errors.New("it closes the connection")
	}
	return nil
}

func (c *caller) connect() (err error) {
	dialer := net.Dialer{Timeout: patience, KeepAlive: -1, LocalAddr: c.from}
	if c.conn, err = dialer.Dial("tcp", c.addr); err != nil {
		c.conn = nil
		return err
	}
	c.in = bufio.NewReader(c.conn)
	return c.conn.SetDeadline(time.Now().Add(time.Hour))
}

func (c *caller) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// drive has some clients ask for a while, each as soon as it has its answer, and counts the
// answers. With keep each stays on its connection.
func drive(ctx context.Context, addr string, clients int, span time.Duration, keep bool) (n int, err error) {
	ctx, stop := context.WithTimeout(ctx, span)
	defer stop()
	counts, errs := make([]int, clients), make([]error, clients)
	var driving sync.WaitGroup
	for i := range clients {
		driving.Go(func() { counts[i], errs[i] = newCaller(addr, i).drive(ctx, keep) })
	}
	driving.Wait()
	for _, count := range counts {
		n += count
	}
	return n, errors.Join(errs...)
}

func (c *caller) drive(ctx context.Context, keep bool) (n int, err error) {
	defer c.close()
	for ; ctx.Err() == nil; n++ {
		if err := c.ask(); err != nil {
			return n, err
		}
		if !keep {
			c.close()
		}
	}
	return n, nil
}

// idle opens connections, one request on each, and keeps them open until they are closed. It
// returns how many of them each release has.
func idle(ctx context.Context, addr string, conns int) (held map[string]int, closeAll func(), err error) {
	held = make(map[string]int)
	callers := make([]*caller, 0, conns)
	closeAll = func() {
		for _, c := range callers {
			c.close()
		}
	}
	for len(callers) < conns && ctx.Err() == nil {
		c := newCaller(addr, len(callers))
		callers = append(callers, c)
		if err := c.ask(); err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("open idle connection %d: %w", len(callers), err)
		}
		held[c.release]++
	}
	return held, closeAll, ctx.Err()
}
