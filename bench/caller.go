package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// caller is one client of one kind, whatever it speaks.
//
// It never tries twice. It writes each request into the ledger before the first
// byte is sent, and what became of it when that is known.
type caller interface {
	// call makes one exchange and returns when it is over. ctx ends with the load:
	// what is short goes on to its end, and what could last for ever breaks off.
	call(ctx context.Context, l *ledger)
	// close ends what is kept between exchanges.
	close()
}

// seat is what a caller finds where it starts.
type seat struct {
	kind    kind
	target  target
	dialer  dialer
	timeout time.Duration
	dice    func() *rand.ChaCha8 // returns a new source of chance, for one goroutine
}

// alone is for kinds whose callers share nothing.
func alone[C caller](make func(seat) C) func(seat) []caller {
	return func(s seat) []caller { return []caller{make(s)} }
}
