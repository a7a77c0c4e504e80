package drain

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

const (
	// parting is how long a peer that has our FIN may take to end its side, when it
	// owes us nothing but that. A request that crossed our FIN is here by then.
	parting = time.Second
	// vanishing is how long a peer may take to acknowledge our FIN before it is taken
	// for gone. On a path that is out for longer a request may cross and not be seen.
	vanishing = 5 * time.Second
)

// The pace at which flush looks whether the peer has everything.
const (
	minFlushPoll = 2 * time.Millisecond
	maxFlushPoll = 50 * time.Millisecond
)

// flush ends our side, reads to the end of the peer's, and waits until the peer
// has acknowledged all that was sent. Closing at once would not do: what the peer
// sends meanwhile, its next request or only more of a body, would be answered
// with RST, and that destroys what is still in the send buffer.
func (c *Conn) flush() {
	defer c.end()
	c.CloseWrite()
	var delivered, acked since
	for poll := minFlushPoll; ; poll = min(2*poll, maxFlushPoll) {
		ended, err := c.readOn(poll)
		if err != nil {
			return
		}
		if ended && c.CloseWrite() != nil {
			return // reset since: behind the peer's end Read does not say so
		}
		n := outstanding(c.TCPConn) // our FIN is the last byte of it
		if delivered.holds(n <= 1) > vanishing || acked.holds(n == 0) > parting || n == 0 && ended {
			return
		}
		if ended {
			time.Sleep(poll) // there is nothing to read any more, so Read does not wait
		}
	}
}

// since is when something began to be so.
type since struct{ at time.Time }

// holds says for how long it has been so.
func (s *since) holds(so bool) time.Duration {
	if !so {
		s.at = time.Time{}
		return 0
	}
	if s.at.IsZero() {
		s.at = time.Now()
	}
	return time.Since(s.at)
}

// readOn reads and forgets for a while. It says whether the peer has ended its
// side, and returns an error when there is nobody to wait for.
func (c *Conn) readOn(d time.Duration) (ended bool, err error) {
	var buf [512]byte
	c.SetReadDeadline(time.Now().Add(d))
	for {
		n, err := c.TCPConn.Read(buf[:])
		switch {
		case n > 0:
			c.noteBytes(buf[:n])
		case errors.Is(err, io.EOF):
			return true, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		default:
			return false, err
		}
	}
}

// unacknowledged returns how many bytes the peer's side has not acknowledged. Our
// FIN counts as one in the kernel's books, and loses nobody anything.
func (c *Conn) unacknowledged() int64 {
	n := outstanding(c.TCPConn)
	if s, _ := split(c.word.Load()); s >= halfClosed {
		n--
	}
	return max(0, n)
}

// Flush returns when no connection is left, hijacked ones included, or when ctx
// ends.
func (cs *Conns) Flush(ctx context.Context) error {
	for !cs.empty() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-cs.left:
		}
	}
	return nil
}

func (cs *Conns) empty() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.head == nil
}

// Cut closes what is left, all at once and below TLS, for good: connections that
// come later are cut as well. It returns how many were busy or hijacked, and how
// many bytes of responses that were complete had not been acknowledged.
func (cs *Conns) Cut() (busy int, unacknowledged int64) {
	cs.cut.Store(true)
	var left []*Conn
	cs.each(func(c *Conn) { left = append(left, c) })
	for _, c := range left {
		switch s, _ := split(c.word.Load()); s {
		case reading, whole, active, hijacked:
			busy++
		case streams, moving, moved:
			if c.http2.Load().busy() {
				busy++
				break
			}
			unacknowledged += c.unacknowledged()
		case idle, halfClosed, flushing:
			unacknowledged += c.unacknowledged()
		}
		c.end()
	}
	return busy, unacknowledged
}
