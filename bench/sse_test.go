package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// Broken on purpose, and seen red: events need no number; a stream may end behind any event,
// and the next one begins anew.

func TestAnEventStreamIsWholeOrLost(t *testing.T) {
	const head, last = "HTTP/1.1 200 OK\r\nRelease: v1\r\nConnection: close\r\n\r\n", "event: retiring\nretry: 1\n\n"
	for name, test := range map[string]struct {
		says string
		want evidence.Outcome
	}{
		"whole":                   {head + "id: 1\n\nid: 2\n\n" + last, evidence.Answered},
		"no last event":           {head + "id: 1\n\nid: 2\n\n", evidence.EOF},
		"a hint in another":       {head + "id: 1\nretry: 1\n\n", evidence.EOF},
		"no hint":                 {head + "id: 1\n\nevent: retiring\n\n", evidence.EOF},
		"nothing but the last":    {head + last, evidence.EOF},
		"broken off":              {head + "id: 1\n\n" + last[:len(last)-1], evidence.EOF},
		"an event is missing":     {head + "id: 1\n\nid: 3\n\n" + last, evidence.Body},
		"an event comes twice":    {head + "id: 1\n\nid: 1\n\n" + last, evidence.Body},
		"it does not begin there": {head + "id: 2\n\n" + last, evidence.Body},
		"busy":                    {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", evidence.Status},
	} {
		t.Run(name, func(t *testing.T) {
			if r := newHand(t, fake(t, says(test.says)), "sse", 300*time.Millisecond).send(); r.Outcome != test.want {
				t.Errorf("counted as %v (%s), want %v", r.Outcome, r.Detail, test.want)
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
		if r := h.send(); r.Outcome != evidence.Answered {
			t.Errorf("counted as %v (%s)", r.Outcome, r.Detail)
		}
	}
	if seen := h.caller.(*listener).seen; seen != 3 {
		t.Errorf("it has seen %d events", seen)
	}
}
