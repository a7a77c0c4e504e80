package main

import (
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// ledger is where one worker writes down what was sent and what became of it.
type ledger struct {
	name  string // of the kind
	clock clock
	tally *tally // shared by all

	due     time.Duration // when the exchange was meant to begin, in the run's time
	sent    int
	records []evidence.Record
	counts  map[string]int
}

// begin notes that a request is being sent. Counted before and recorded after:
// the report compares the two.
func (l *ledger) begin() *entry {
	l.sent++
	return &entry{ledger: l, name: l.name, due: l.due}
}

// beginApart notes what is sent, or kept up, apart from the requests that a
// server counts: the messages of a WebSocket and the like.
func (l *ledger) beginApart(name string, due time.Duration) *entry {
	l.sent++
	return &entry{ledger: l, name: name, due: due, apart: true}
}

// count counts what is neither an answer nor a loss.
func (l *ledger) count(what string) {
	if l.counts == nil {
		l.counts = map[string]int{}
	}
	l.counts[what]++
}

// entry is one request that is under way. It has to be ended.
type entry struct {
	ledger *ledger
	name   string
	due    time.Duration
	apart  bool
	life   bool // it goes on for as long as the server is there
}

// end notes what became of the request.
func (e *entry) end(a answer, err error) {
	l := e.ledger
	r := newRecord(e.name, e.due, l.clock.now()-e.due, a, err)
	r.Apart, r.Life = e.apart, e.life
	l.records = append(l.records, r)
	l.tally.add(r)
}
