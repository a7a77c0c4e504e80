package kubernetes

import (
	"bufio"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

// patron is a client with one kept connection, at the end of a wire that takes half of rtt
// in each direction. It thinks, by an exponential distribution, before each request.
type patron struct {
	rtt, think time.Duration
	lost       *atomic.Int64
}

// visit lasts until the server has ended the connection, one way or another. A request that
// was sent before the end of the connection was seen, and got no answer, is lost.
func (p patron) visit(opened *sync.WaitGroup) {
	conn, err := net.Dial("tcp", "127.0.0.1:8080")
	opened.Done()
	if err != nil {
		p.lost.Add(1)
		return
	}
	defer conn.Close()
	in, answered := bufio.NewReader(conn), make(chan bool, 1)
	for {
		go func() { answered <- answer(in) }()
		select {
		case <-answered: // it can only be the end, which we see half of rtt later
			select {
			case <-time.After(p.rtt / 2):
			case <-p.thought():
				p.lost.Add(1)
			}
			return
		case <-p.thought():
		}
		// The request is on its way. What the server does before it is there, crosses it.
		select {
		case <-answered:
			p.lost.Add(1)
			return
		case <-time.After(p.rtt / 2):
		}
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: overlap\r\n\r\n")
		if !<-answered {
			return
		}
		<-time.After(p.rtt / 2)
	}
}

// thought fires when the next request is sent: without a memory, also when asked again.
func (p patron) thought() <-chan time.Time {
	return time.After(time.Duration(rand.ExpFloat64() * float64(p.think)))
}

// answer is true for one behind which the connection stays.
func answer(in *bufio.Reader) bool {
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return false
	}
	io.Copy(io.Discard, res.Body)
	return !res.Close
}

// The rule of the README, where it is large enough to be counted: of idle connections the
// part is lost whose next request crosses the close, one round trip in all. With half of that
// the test is red.
func TestIdleConnectionsAreLostByTheRuleOfTheREADME(t *testing.T) {
	const connections, rtt, think, linger = 4000, 200 * time.Millisecond, 2 * time.Second, 2 * time.Second
	server := exec.Command(recipe.Server, "serve", "--release", "v1", "--access-log=false", "--linger-timeout", linger.String())
	next := exec.Command(recipe.Server, "serve", "--release", "v2", "--access-log=false")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	recipe.Eventually(t, "v1 serves", func() bool { return recipe.Serving("v1") })
	var opened, left sync.WaitGroup
	var lost atomic.Int64
	opened.Add(connections)
	for range connections {
		left.Go(func() { patron{rtt, think, &lost}.visit(&opened) })
	}
	opened.Wait()
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { next.Process.Kill(); next.Wait() }()
	recipe.Eventually(t, "v2 serves", func() bool { return recipe.Serving("v2") })
	<-time.After(2 * think) // so that nobody is at his first request
	server.Process.Signal(syscall.SIGTERM)
	server.Wait()
	left.Wait()
	// The server sees the times between requests, which are longer than thinking by rtt.
	expected := connections * math.Exp(-float64(linger)/float64(think)) * math.Expm1(float64(rtt)/float64(think)) * float64(think) / float64(think+rtt)
	t.Logf("%d of %d connections lost a request, the rule says %.1f", lost.Load(), connections, expected)
	if off := math.Abs(float64(lost.Load()) - expected); off > 4*math.Sqrt(expected) {
		t.Errorf("that is off by %.1f", off)
	}
}
