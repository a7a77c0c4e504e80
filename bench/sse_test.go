package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// Broken on purpose, and seen red: events need no number; a stream may end behind any event,
// and the next one begins anew.

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
