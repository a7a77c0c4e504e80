package main

import "context"

// getter asks for the greeting, the same way each time.
type getter struct {
	*client
	target target
	wire   []byte
	last   bool // each request is the only one of its connection
}

func newGetter(s seat) *getter {
	return getting(s, s.target.get(s.target.path, s.kind.fresh))
}

func getting(s seat, wire []byte) *getter {
	return &getter{newClient(s.dialer.speaking("http/1.1"), s.timeout), s.target, wire, s.kind.fresh}
}

// newOldGetter speaks HTTP/1.0, where a connection ends with its answer unless
// both sides say otherwise.
func newOldGetter(s seat) *getter {
	return getting(s, s.target.getOld(s.target.path, !s.kind.fresh))
}

func (g *getter) call(_ context.Context, l *ledger) {
	entry := l.begin()
	a, err := g.ask(g.wire)
	entry.end(a, err)
}

// ask sends what it is given, and judges the first answer.
func (g *getter) ask(wire []byte) (answer, error) {
	a, err := g.exchange(wire, g.last)
	if err == nil {
		err = g.target.check(a, nil)
	}
	return a, err
}
