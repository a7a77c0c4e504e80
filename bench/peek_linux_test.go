package main

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

func TestAConnectionThatEndedWhileIdleIsReplaced(t *testing.T) {
	w := newHand(t, fake(t, says(whole)), "keepalive", time.Second)
	for range 3 {
		if r := w.send(); r.Outcome != evidence.Answered {
			t.Fatalf("counted as %v (%s), should be answered", r.Outcome, r.Detail)
		}
		awaitEnd(t, w.client.conn)
	}
}

// awaitEnd waits until the server's FIN has arrived.
func awaitEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for !ended(conn) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatal("the server closed the connection, and the client does not see it")
		}
	}
}
