package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/coder/websocket"
)

// Broken on purpose, and seen red: whatever a close with 1001 says is believed.

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
		messages []evidence.Outcome
		end      evidence.Outcome
	}{
		"closed before one is read": {func(c *websocket.Conn) {
			echoes(c, 2)
			goAway(c, 2)
		}, []evidence.Outcome{evidence.Answered, evidence.Answered, evidence.Declined}, evidence.Answered},
		"one is swallowed": {func(c *websocket.Conn) {
			echoes(c, 1)
			_, _, _ = c.Read(context.Background())
			goAway(c, 2)
		}, []evidence.Outcome{evidence.Answered, evidence.Body}, evidence.Body},
		"it does not say": {func(c *websocket.Conn) {
			echoes(c, 1)
			_ = c.Close(websocket.StatusGoingAway, "bye")
		}, []evidence.Outcome{evidence.Answered, evidence.Body}, evidence.Body},
		"closed with another code": {func(c *websocket.Conn) {
			echoes(c, 1)
			_ = c.Close(websocket.StatusNormalClosure, "retiring, messages taken: 1")
		}, []evidence.Outcome{evidence.Answered, evidence.EOF}, evidence.EOF},
		"cut": {func(c *websocket.Conn) { echoes(c, 1); _ = c.CloseNow() }, []evidence.Outcome{evidence.Answered, evidence.Reset}, evidence.Reset},
		"another echo": {func(c *websocket.Conn) {
			_, _, _ = c.Read(context.Background())
			_ = c.Write(context.Background(), websocket.MessageBinary, []byte("other"))
			goAway(c, 1)
		}, []evidence.Outcome{evidence.Body}, evidence.Answered},
		"no echo": {func(c *websocket.Conn) { _, _, _ = c.Read(context.Background()); time.Sleep(time.Second) }, []evidence.Outcome{evidence.Timeout}, evidence.Reset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHand(t, upgrades(t, test.talk), "ws", 300*time.Millisecond)
			var got []evidence.Outcome
			for range test.messages {
				h.send()
			}
			ws := h.caller.(*echoer).ws
			<-ws.over
			ws.settle()
			h.caller.(*echoer).ws = nil
			end := evidence.Other
			for _, r := range h.ledger.records {
				switch r.Kind {
				case wsEnd:
					end = r.Outcome
				case wsOpen:
				default:
					got = append(got, r.Outcome)
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
