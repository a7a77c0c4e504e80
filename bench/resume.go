package main

import (
	"context"
	"crypto/tls"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// resumer takes its TLS session along from connection to connection, and counts
// how often the server knows it.
//
// What matters is the first handshake with a release that did not issue the
// session: it can be resumed only when both releases have the same ticket keys.
// Who issued it is who answered on the connection before, because each handshake,
// resumed or not, brings a new ticket.
type resumer struct {
	*getter
	issuer string // "": there is no session yet
}

func newResumer(s seat) *resumer {
	s.dialer.tls = s.dialer.tls.Clone()
	s.dialer.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return &resumer{getter: newGetter(s)}
}

func (r *resumer) call(_ context.Context, l *ledger) {
	entry := l.begin()
	resumed := false
	a, err := r.converse(r.last, func() (answer, error) {
		resumed = r.conn.(*tls.Conn).ConnectionState().DidResume
		if err := r.send(r.wire); err != nil {
			return answer{}, err
		}
		return r.receive()
	})
	if err == nil {
		err = r.target.check(a, nil)
	}
	entry.end(a, err)
	if err == nil {
		r.note(l, a.release, resumed)
	}
}

func (r *resumer) note(l *ledger, release string, resumed bool) {
	all, known := evidence.HandshakesWithin, evidence.ResumedWithin
	if release != r.issuer {
		all, known = evidence.HandshakesAcross, evidence.ResumedAcross
	}
	if r.issuer != "" {
		l.count(all)
		if resumed {
			l.count(known)
		}
	}
	r.issuer = release
}
