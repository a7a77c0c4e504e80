package main

import (
	"net/http"
	"sync"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// prober asks for readiness, each time on a new connection. Its questions are
// requests like all others: the servers count them, and one that is lost is lost.
type prober struct {
	client *client
	wire   []byte
	clock  clock

	asking  sync.Mutex // one question at a time
	records []evidence.Record
}

func newProber(t target, d dialer, c config, clock clock) *prober {
	return &prober{client: newClient(d.speaking("http/1.1"), c.timeout), wire: t.get("/readyz", true), clock: clock}
}

// ask says later whether the release is ready: where an accept queue is full, an answer can
// take longer than anybody needs it.
func (p *prober) ask(release string) <-chan bool {
	answer := make(chan bool, 1)
	go func() {
		p.asking.Lock()
		defer p.asking.Unlock()
		answer <- p.ready(release)
	}()
	return answer
}

// done waits until nothing is asked any more, and returns what became of the questions.
func (p *prober) done() []evidence.Record {
	p.asking.Lock()
	defer p.asking.Unlock()
	return p.records
}

// ready reports whether the release itself answered that it is. Another one's
// 503 is an answer, not a loss: a retiring release says that it is not ready.
func (p *prober) ready(release string) bool {
	sent := p.clock.now()
	a, err := p.client.exchange(p.wire, true)
	if err == nil || len(p.records) > 0 { // before the first answer nobody listens, which is no loss
		p.records = append(p.records, newRecord("probe", sent, p.clock.now()-sent, a, err))
	}
	return err == nil && a.release == release && a.status == http.StatusOK
}

// again is one that has not had its first answer.
func (p *prober) again() *prober { return &prober{client: p.client, wire: p.wire, clock: p.clock} }
