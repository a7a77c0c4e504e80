package main

import "context"

// pipeliner sends two requests at a time, before it has any answer.
//
// A request behind the last answer of a connection is not processed (RFC 9112
// 9.6). It is declined, which is no loss, and sent again on a new connection:
// that is a request of its own here, with an answer of its own.
type pipeliner struct {
	*getter
	pair []byte
}

func newPipeliner(s seat) *pipeliner {
	g := newGetter(s)
	return &pipeliner{getter: g, pair: append(g.wire[:len(g.wire):len(g.wire)], g.wire...)}
}

func (p *pipeliner) call(ctx context.Context, l *ledger) {
	first, second := l.begin(), l.begin()
	a, err := p.ask(p.pair)
	first.end(a, err)
	switch {
	case err != nil:
		p.close()
		second.end(answer{conn: a.conn}, err) // it went down with the first
	case a.last:
		second.end(answer{conn: a.conn}, errDeclined)
		p.getter.call(ctx, l)
	default:
		a, err = p.second()
		second.end(a, err)
	}
}

// second reads and judges the answer behind the first.
func (p *pipeliner) second() (answer, error) {
	a, err := p.receive()
	a.conn = p.no
	if err == nil {
		err = p.target.check(a, nil)
	}
	if err != nil || a.last {
		p.close()
	}
	return a, err
}
