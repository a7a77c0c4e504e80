package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Broken on purpose, and seen red: whatever a close with 1001 says is believed; events need
// no number; a stream may end behind any event.

// upgrades answers each request with a WebSocket that talk has.
func upgrades(t *testing.T, talk func(*websocket.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Release", "v1")
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		talk(conn)
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}

// echoes sends n messages back, and lets another one come.
func echoes(conn *websocket.Conn, n int) {
	for range n {
		kind, message, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		_ = conn.Write(context.Background(), kind, message)
	}
	time.Sleep(100 * time.Millisecond)
}

func goAway(conn *websocket.Conn, taken int) {
	_ = conn.Close(websocket.StatusGoingAway, fmt.Sprintf("retiring, messages taken: %d", taken))
}

func TestTheFateOfEachMessageOfAWebSocketIsKnown(t *testing.T) {
	for name, test := range map[string]struct {
		talk     func(*websocket.Conn)
		messages []outcome
		end      outcome
	}{
		"closed before one is read": {func(c *websocket.Conn) {
			echoes(c, 2)
			goAway(c, 2)
		}, []outcome{answered, answered, declined}, answered},
		"one is swallowed": {func(c *websocket.Conn) {
			echoes(c, 1)
			_, _, _ = c.Read(context.Background())
			goAway(c, 2)
		}, []outcome{answered, body}, body},
		"it does not say": {func(c *websocket.Conn) {
			echoes(c, 1)
			_ = c.Close(websocket.StatusGoingAway, "bye")
		}, []outcome{answered, body}, body},
		"closed with another code": {func(c *websocket.Conn) {
			echoes(c, 1)
			_ = c.Close(websocket.StatusNormalClosure, "retiring, messages taken: 1")
		}, []outcome{answered, eof}, eof},
		"cut": {func(c *websocket.Conn) { echoes(c, 1); _ = c.CloseNow() }, []outcome{answered, reset}, reset},
		"another echo": {func(c *websocket.Conn) {
			_, _, _ = c.Read(context.Background())
			_ = c.Write(context.Background(), websocket.MessageBinary, []byte("other"))
			goAway(c, 1)
		}, []outcome{body}, answered},
		"no echo": {func(c *websocket.Conn) { _, _, _ = c.Read(context.Background()); time.Sleep(time.Second) }, []outcome{timeout}, reset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHand(t, upgrades(t, test.talk), "ws", 300*time.Millisecond)
			var got []outcome
			for range test.messages {
				h.send()
			}
			ws := h.caller.(*echoer).ws
			<-ws.over
			ws.settle()
			h.caller.(*echoer).ws = nil
			end := other
			for _, r := range h.ledger.records {
				switch r.kind {
				case wsEnd:
					end = r.outcome
				case wsOpen:
				default:
					got = append(got, r.outcome)
				}
			}
			if fmt.Sprint(got, end) != fmt.Sprint(test.messages, test.end) {
				t.Errorf("messages %v and end %v, want %v and %v: %v", got, end, test.messages, test.end, h.ledger.records)
			}
			if h.ledger.sent != len(h.ledger.records) {
				t.Errorf("sent %d, known %d", h.ledger.sent, len(h.ledger.records))
			}
		})
	}
}

func TestAnEventStreamIsWholeOrLost(t *testing.T) {
	const head, last = "HTTP/1.1 200 OK\r\nRelease: v1\r\nConnection: close\r\n\r\n", "event: retiring\nretry: 1\n\n"
	for name, test := range map[string]struct {
		says string
		want outcome
	}{
		"whole":                   {head + "id: 1\n\nid: 2\n\n" + last, answered},
		"no last event":           {head + "id: 1\n\nid: 2\n\n", eof},
		"a hint in another":       {head + "id: 1\nretry: 1\n\n", eof},
		"no hint":                 {head + "id: 1\n\nevent: retiring\n\n", eof},
		"nothing but the last":    {head + last, eof},
		"broken off":              {head + "id: 1\n\n" + last[:len(last)-1], eof},
		"an event is missing":     {head + "id: 1\n\nid: 3\n\n" + last, body},
		"an event comes twice":    {head + "id: 1\n\nid: 1\n\n" + last, body},
		"it does not begin there": {head + "id: 2\n\n" + last, body},
		"busy":                    {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", status},
	} {
		t.Run(name, func(t *testing.T) {
			if r := newHand(t, fake(t, says(test.says)), "sse", 300*time.Millisecond).send(); r.outcome != test.want {
				t.Errorf("counted as %v (%s), want %v", r.outcome, r.detail, test.want)
			}
		})
	}
}

// The next stream goes on where the one before has ended.
func TestEventsGoOnFromStreamToStream(t *testing.T) {
	addr := fake(t, func(conn *net.TCPConn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		seen := 0
		fmt.Sscan(r.Header.Get("Last-Event-ID"), &seen)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nid: %d\n\nevent: retiring\nretry: 1\n\n", seen+1)
	})
	h := newHand(t, addr, "sse", time.Second)
	for range 3 {
		if r := h.send(); r.outcome != answered {
			t.Errorf("counted as %v (%s)", r.outcome, r.detail)
		}
	}
	if seen := h.caller.(*listener).seen; seen != 3 {
		t.Errorf("it has seen %d events", seen)
	}
}
