package overlap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

// client is one connection that tries nothing twice.
type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(addr string) (*client, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{c, bufio.NewReader(c)}, nil
}

// connect is dial for a test that cannot go on without.
func connect(t testing.TB, addr string) *client {
	t.Helper()
	c, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// send writes a POST, whose answer should be its body.
func (c *client) send(path, body string) error {
	_, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	return err
}

// answer is a response that has arrived whole.
type answer struct {
	release string
	body    string
	last    bool // the server will close the connection
}

func (c *client) receive() (answer, error) {
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return answer{resp.Header.Get("Release"), string(body), resp.Close}, err
}

func (c *client) ask(path, body string) (answer, error) {
	if err := c.send(path, body); err != nil {
		return answer{}, err
	}
	return c.receive()
}

// ended says whether the server has ended a connection that nobody uses.
func (c *client) ended() bool {
	c.SetReadDeadline(time.Now().Add(time.Microsecond))
	_, err := c.in.Peek(1)
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// ask makes one request on a connection of its own.
func ask(addr, path, body string) (answer, error) {
	c, err := dial(addr)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	return c.ask(path, body)
}

// load is clients that send requests, half of them on a new connection for each
// and half of them keeping theirs, until they are stopped.
type load struct {
	addr string
	dial func(addr string) (*client, error)
	stop chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	sent     int
	answered map[string]int
	errs     []error
	seen     map[string]chan struct{} // closed when a release has answered
}

const loadClients = 32

func send(t testing.TB, addr string) *load {
	return sendBy(t, addr, dial)
}

func sendBy(t testing.TB, addr string, dial func(addr string) (*client, error)) *load {
	l := newLoad(t, addr)
	l.dial = dial
	for i := range loadClients {
		l.wg.Go(func() { l.run(i%2 == 0) })
	}
	return l
}

// newLoad is a load without clients.
func newLoad(t testing.TB, addr string) *load {
	l := &load{addr: addr, stop: make(chan struct{}), answered: make(map[string]int), seen: make(map[string]chan struct{})}
	t.Cleanup(l.end)
	return l
}

func (l *load) run(keep bool) {
	var c *client
	defer func() { l.drop(c) }()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		if c != nil && c.ended() {
			l.drop(c)
			c = nil
		}
		var a answer
		var err error
		if c == nil {
			c, err = l.dial(l.addr)
		}
		if err == nil {
			a, err = l.exchange(c, fmt.Sprint(i))
		}
		l.note(a, err)
		if err != nil || a.last || !keep {
			l.drop(c)
			c = nil
		}
	}
}

func (l *load) drop(c *client) {
	if c != nil {
		c.Close()
	}
}

func (l *load) exchange(c *client, body string) (answer, error) {
	a, err := c.ask("/", body)
	if err == nil && a.body != body {
		err = fmt.Errorf("sent %q, got back %q", body, a.body)
	}
	return a, err
}

func (l *load) note(a answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.answered[a.release]++
	if c, ok := l.seen[a.release]; ok && l.answered[a.release] == 1 {
		close(c)
	}
}

// awaitAnswer waits until a release has answered the load.
func (l *load) awaitAnswer(t testing.TB, release string) {
	t.Helper()
	l.mu.Lock()
	c, ok := l.seen[release]
	if !ok {
		c = make(chan struct{})
		l.seen[release] = c
		if l.answered[release] > 0 {
			close(c)
		}
	}
	l.mu.Unlock()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s has not answered", release)
	}
}

// end stops the clients and waits for them.
func (l *load) end() {
	l.mu.Lock()
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// sum ends the load and checks that each request was accounted for.
func (l *load) sum(t testing.TB) (failed int) {
	t.Helper()
	l.end()
	answered := 0
	for _, n := range l.answered {
		answered += n
	}
	if l.sent != answered+len(l.errs) || l.sent == 0 {
		t.Errorf("sent %d, answered %d, failed %d", l.sent, answered, len(l.errs))
	}
	t.Logf("sent %d, answered %v, failed %d", l.sent, l.answered, len(l.errs))
	return len(l.errs)
}

// lostNothing ends the load and fails the test if a request was lost.
func (l *load) lostNothing(t testing.TB) {
	t.Helper()
	if n := l.sum(t); n > 0 {
		t.Errorf("%d requests were lost: %v", n, l.errs[:min(n, 5)])
	}
}

// releases makes n requests, each on a connection of its own, and returns how many
// each release answered.
func releases(t testing.TB, addr string, n int) map[string]int {
	t.Helper()
	got := make(map[string]int)
	for i := range n {
		a, err := ask(addr, "/", fmt.Sprint(i))
		if err != nil {
			t.Fatalf("request %d of %d: %v", i, n, err)
		}
		got[a.release]++
	}
	return got
}
