package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// fake serves each connection with handle, and waits for all at the test's end.
func fake(t *testing.T, handle func(*net.TCPConn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			})
		}
	})
	return ln.Addr().String()
}

// says answers each request with this text, whole or not, and then closes.
func says(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, text)
		}
	}
}

const whole = "HTTP/1.1 200 OK\r\nRelease: v1\r\nContent-Length: 14\r\n\r\nhello from v1\n"

// hand is one client of one kind, that works only when told to.
type hand struct {
	caller
	client *client // below it
	ledger ledger
}

func newHand(t *testing.T, addr, load string, timeout time.Duration) *hand {
	t.Helper()
	loads, err := pick(load)
	if err != nil {
		t.Fatal(err)
	}
	h := &hand{caller: loads[0].open(seatAt(addr, loads[0], timeout))[0]}
	switch c := h.caller.(type) {
	case *getter:
		h.client = c.client
	case *poster:
		h.client = c.client
	}
	h.ledger = ledger{name: load, clock: clock{time.Now()}, tally: newTally()}
	t.Cleanup(h.close)
	return h
}

// seatAt is a seat at a server that passes for the reference.
func seatAt(addr string, k kind, timeout time.Duration) seat {
	return seat{
		kind: k, target: target{addr: addr, host: addr, path: "/", reference: true},
		dialer: dialer{addr: addr, opened: new(atomic.Int64)}, timeout: timeout, dice: new(load).dice(1),
	}
}

// send makes one exchange and returns its record.
func (h *hand) send() evidence.Record {
	h.call(context.Background(), &h.ledger)
	return h.ledger.records[len(h.ledger.records)-1]
}

func TestEveryFailureHasItsClass(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle func(*net.TCPConn)
		want   evidence.Outcome
	}{
		{"whole", says(whole), evidence.Answered},
		{"reset before the request is read", func(conn *net.TCPConn) { conn.SetLinger(0) }, evidence.Reset},
		{"reset instead of an answer", func(conn *net.TCPConn) { says("")(conn); conn.SetLinger(0) }, evidence.Reset},
		{"closed before answering", says(""), evidence.EOF},
		{"closed within the head", says(whole[:30]), evidence.EOF},
		{"closed within the body", says(whole[:len(whole)-5]), evidence.EOF},
		{"never answered", func(conn *net.TCPConn) { io.Copy(io.Discard, conn) }, evidence.Timeout},
		{"503", says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), evidence.Status},
		{"another release's body", says("HTTP/1.1 200 OK\r\nRelease: v2\r\nContent-Length: 14\r\n\r\nhello from v1\n"), evidence.Body},
		{"no HTTP", says("SSH-2.0-hello\r\n\r\n"), evidence.Other},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newHand(t, fake(t, c.handle), "new", 200*time.Millisecond).send()
			if r.Outcome != c.want {
				t.Errorf("counted as %v (%s), should be %v", r.Outcome, r.Detail, c.want)
			}
		})
	}
}

func TestAClosedPortIsRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if r := newHand(t, ln.Addr().String(), "new", time.Second).send(); r.Outcome != evidence.Refused {
		t.Errorf("counted as %v (%s), should be refused", r.Outcome, r.Detail)
	}
}

func TestAPostMustComeBackAsItWas(t *testing.T) {
	broken := false
	addr := fake(t, func(conn *net.TCPConn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		posted, _ := io.ReadAll(req.Body)
		if broken {
			posted[0]++
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(posted), posted)
	})
	w := newHand(t, addr, "post", time.Second)
	if r := w.send(); r.Outcome != evidence.Answered {
		t.Fatalf("counted as %v (%s), should be answered", r.Outcome, r.Detail)
	}
	broken = true
	if r := w.send(); r.Outcome != evidence.Body {
		t.Errorf("counted as %v (%s), should be body", r.Outcome, r.Detail)
	}
}

func TestAKeptConnectionIsKept(t *testing.T) {
	var conns atomic.Int32
	addr := fake(t, func(conn *net.TCPConn) {
		conns.Add(1)
		in := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			io.WriteString(conn, whole)
		}
	})
	w := newHand(t, addr, "keepalive", time.Second)
	for range 3 {
		if r := w.send(); r.Outcome != evidence.Answered {
			t.Fatalf("counted as %v (%s), should be answered", r.Outcome, r.Detail)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("made %d connections for 3 requests, should make 1", n)
	}
}

// Broken on purpose, and seen red: the answer does not say on which connection it came.
func TestARecordSaysOnWhichConnectionItWent(t *testing.T) {
	for load, want := range map[string][]int64{"keepalive": {1, 1, 1}, "new": {1, 2, 3}} {
		addr := fake(t, func(conn *net.TCPConn) {
			in := bufio.NewReader(conn)
			for {
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				io.WriteString(conn, whole)
			}
		})
		w := newHand(t, addr, load, time.Second)
		for i, conn := range want {
			if r := w.send(); r.Conn != conn {
				t.Errorf("%s: request %d went on connection %d, should be %d", load, i+1, r.Conn, conn)
			}
		}
	}
	if r := newHand(t, "127.0.0.1:1", "new", time.Second).send(); r.Conn != 0 {
		t.Errorf("what was refused went on connection %d", r.Conn)
	}
}

func TestARequestThatMeetsTheEndOfItsConnectionIsLostAndNotRepeated(t *testing.T) {
	var requests atomic.Int32
	addr := fake(t, func(conn *net.TCPConn) {
		in := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			if requests.Add(1) == 2 {
				return
			}
			io.WriteString(conn, whole)
		}
	})
	w := newHand(t, addr, "keepalive", time.Second)
	for i, want := range []evidence.Outcome{evidence.Answered, evidence.EOF, evidence.Answered} {
		if r := w.send(); r.Outcome != want {
			t.Errorf("request %d counted as %v (%s), should be %v", i+1, r.Outcome, r.Detail, want)
		}
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("the server saw %d requests for 3, should see 3", n)
	}
}

func TestTheServersConnectionCloseIsHonoured(t *testing.T) {
	addr := fake(t, func(conn *net.TCPConn) {
		says("HTTP/1.1 200 OK\r\nRelease: v1\r\nConnection: close\r\nContent-Length: 14\r\n\r\nhello from v1\n")(conn)
		io.Copy(io.Discard, conn) // a second request would hang here
	})
	w := newHand(t, addr, "keepalive", 500*time.Millisecond)
	for range 2 {
		if r := w.send(); r.Outcome != evidence.Answered {
			t.Errorf("counted as %v (%s), should be answered", r.Outcome, r.Detail)
		}
	}
}
