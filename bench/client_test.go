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
		dialer: dialer{addr: addr}, timeout: timeout, dice: new(load).dice(1),
	}
}

// send makes one exchange and returns its record.
func (h *hand) send() record {
	h.call(context.Background(), &h.ledger)
	return h.ledger.records[len(h.ledger.records)-1]
}

func TestEveryFailureHasItsClass(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle func(*net.TCPConn)
		want   outcome
	}{
		{"whole", says(whole), answered},
		{"reset before the request is read", func(conn *net.TCPConn) { conn.SetLinger(0) }, reset},
		{"reset instead of an answer", func(conn *net.TCPConn) { says("")(conn); conn.SetLinger(0) }, reset},
		{"closed before answering", says(""), eof},
		{"closed within the head", says(whole[:30]), eof},
		{"closed within the body", says(whole[:len(whole)-5]), eof},
		{"never answered", func(conn *net.TCPConn) { io.Copy(io.Discard, conn) }, timeout},
		{"503", says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), status},
		{"another release's body", says("HTTP/1.1 200 OK\r\nRelease: v2\r\nContent-Length: 14\r\n\r\nhello from v1\n"), body},
		{"no HTTP", says("SSH-2.0-hello\r\n\r\n"), other},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newHand(t, fake(t, c.handle), "new", 200*time.Millisecond).send()
			if r.outcome != c.want {
				t.Errorf("counted as %v (%s), should be %v", r.outcome, r.detail, c.want)
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
	if r := newHand(t, ln.Addr().String(), "new", time.Second).send(); r.outcome != refused {
		t.Errorf("counted as %v (%s), should be refused", r.outcome, r.detail)
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
	if r := w.send(); r.outcome != answered {
		t.Fatalf("counted as %v (%s), should be answered", r.outcome, r.detail)
	}
	broken = true
	if r := w.send(); r.outcome != body {
		t.Errorf("counted as %v (%s), should be body", r.outcome, r.detail)
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
		if r := w.send(); r.outcome != answered {
			t.Fatalf("counted as %v (%s), should be answered", r.outcome, r.detail)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("made %d connections for 3 requests, should make 1", n)
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
	for i, want := range []outcome{answered, eof, answered} {
		if r := w.send(); r.outcome != want {
			t.Errorf("request %d counted as %v (%s), should be %v", i+1, r.outcome, r.detail, want)
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
		if r := w.send(); r.outcome != answered {
			t.Errorf("counted as %v (%s), should be answered", r.outcome, r.detail)
		}
	}
}
