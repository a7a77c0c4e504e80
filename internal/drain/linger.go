package drain

import (
	"context"
	"time"
)

// minTick bounds how often Linger looks at the connections.
const minTick = 5 * time.Millisecond

// patience is how long, also where nothing lingers, we wait for what has begun: the
// rest of a header, an acknowledgement, a stream on its way behind one.
const patience = time.Second

// Retire begins the end: from now on HTTP/1 clients are asked to close, HTTP/2 clients
// are told to open no more streams, and the clock of each connection runs.
func (cs *Conns) Retire() {
	cs.clock.Store(exact)
	if !cs.retired.CompareAndSwap(0, cs.now()) {
		return
	}
	cs.each(func(c *Conn) {
		if h := c.http2.Load(); h != nil {
			h.leave()
		}
	})
}

// Resume takes Retire back.
func (cs *Conns) Resume() {
	cs.lingered.Store(false)
	cs.retired.Store(0)
	cs.clock.Store(cs.now())
}

// Linger returns when no connection is left that net/http's Shutdown could
// surprise, or when ctx ends. A connection that has been new or idle for timeout,
// counted from Retire or from its last response, is half-closed: we end our side
// and read on, so that what still arrives is counted. An HTTP/2 client that has not
// acknowledged by then that it was told is not waited for any longer: nor are those
// whose streams go on, nor hijacked connections.
//
// Every accepted connection must be in the server's hands before.
func (cs *Conns) Linger(ctx context.Context, timeout time.Duration) error {
	defer cs.lingered.Store(true)
	tick := time.NewTimer(0)
	defer tick.Stop()
	for cs.live.Load() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-cs.left:
		case <-tick.C:
			tick.Reset(max(minTick, cs.closeStale(timeout)))
		}
	}
	return nil
}

// closeStale half-closes what has been new or idle for timeout and returns when
// the next one will have been. While a client still downloads, its clock does not run.
func (cs *Conns) closeStale(timeout time.Duration) (next time.Duration) {
	now, retired := cs.now(), cs.retired.Load()
	next = timeout
	cs.each(func(c *Conn) {
		word := c.word.Load()
		s, since := split(word)
		if s != fresh && s != reading && s != idle && s != streams {
			return
		}
		left := timeout - time.Duration(now-max(since, retired))
		if s == reading || s == streams {
			left += max(0, cs.patience-timeout)
		}
		if left > 0 {
			next = min(next, left)
			return
		}
		switch {
		case outstanding(c.TCPConn) > 0: // a response that the client still downloads
			c.swap(word, s)
		case s == streams:
			c.http2.Load().waitNoMore()
		default:
			c.halfClose(word)
		}
	})
	return next
}

// halfClose ends our side of a connection on which nothing has happened since
// word was read. A request that is here already, but that the server has not had
// the time to read, keeps it open. The server wakes up, sees the end and closes; flush
// reads on.
func (c *Conn) halfClose(word uint64) {
	if arrived(c.TCPConn) || !c.swap(word, halfClosed) {
		return
	}
	s, _ := split(word)
	if s == reading && c.kept.Load() {
		c.noteLate() // a part of a header; of a first one net/http tells us
	}
	if s != idle || !c.secure { // an idle TLS connection ends with an alert, which the server sends
		c.CloseWrite()
	}
	c.SetReadDeadline(longAgo)
}

var longAgo = time.Unix(1, 0)
