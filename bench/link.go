package main

import (
	"context"
	"sync"
	"time"
)

// link is the HTTP/2 connection on which new requests of some callers go out. Once
// the server says GOAWAY it is another one, while the streams of the old one go on
// there.
//
// net/http's Transport and x/net's both repeat what crosses a GOAWAY, or fail it
// before it has touched the wire when its body cannot be read again. So this speaks
// frames.
type link struct {
	dialer  dialer
	timeout time.Duration

	mu   sync.Mutex
	conn *h2conn // nil: none
}

// take returns a connection that takes new streams.
func (l *link) take() (*h2conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.conn.usable() {
		return l.conn, nil
	}
	if l.conn != nil {
		l.conn.leave()
		l.conn = nil
	}
	conn, err := l.dialer.dial(time.Now().Add(l.timeout))
	if err != nil {
		return nil, err
	}
	if l.conn, err = startH2(conn); err != nil {
		return nil, err
	}
	l.conn.no = l.dialer.number()
	return l.conn, nil
}

// open opens a stream. A connection that leaves just then has not seen the first
// byte of it, and another one takes it.
func (l *link) open(fields []field, s *stream) error {
	for {
		conn, err := l.take()
		if err != nil {
			return err
		}
		if opened, err := conn.open(fields, s); opened || err != nil {
			return err
		}
	}
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.leave()
		l.conn = nil
	}
}

// streamer is one stream after the other on a link: POSTs whose bodies are thrown
// away once they are sent, and so cannot be sent again.
type streamer struct {
	*link
	target target
	random
	fields []field
}

// newStreamers returns the callers of one link, as many as the kind has streams.
func newStreamers(s seat) (callers []caller) {
	l := &link{dialer: s.dialer.speaking("h2"), timeout: s.timeout}
	scheme := "http"
	if s.dialer.tls != nil {
		scheme = "https"
	}
	fields := []field{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: scheme},
		{Name: ":authority", Value: s.target.host}, {Name: ":path", Value: "/echo"},
		{Name: "content-type", Value: "application/octet-stream"},
	}
	for range s.kind.streams {
		callers = append(callers, &streamer{link: l, target: s.target, random: random{dice: s.dice()}, fields: fields})
	}
	return callers
}

func (s *streamer) call(_ context.Context, l *ledger) {
	entry := l.begin()
	a, err := s.post(s.bytes())
	entry.end(a, err)
}

// post makes one exchange. The body goes out in two parts, so that a GOAWAY can
// come between them.
func (s *streamer) post(posted []byte) (answer, error) {
	st := newStream()
	if err := s.open(s.fields, st); err != nil {
		return answer{}, err
	}
	defer time.AfterFunc(s.timeout, st.expire).Stop()
	half := len(posted) / 2
	st.send(posted[:half], false)
	st.send(posted[half:], true)
	<-st.over
	a := answer{status: st.status, release: st.release, body: st.body, conn: st.conn.no}
	if st.err != nil {
		return a, st.err
	}
	return a, s.target.check(a, posted)
}
