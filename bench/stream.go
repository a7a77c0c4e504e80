package main

import (
	"os"

	"golang.org/x/net/http2"
)

// stream is one exchange on an HTTP/2 connection.
type stream struct {
	conn *h2conn
	id   uint32

	// What follows is guarded by conn.mu, but may be read once over is closed.

	window  int64 // how much of the body may go out
	pending int   // bytes received and not yet given back to the server's window
	status  int
	release string
	body    []byte
	err     error // why there is no whole answer
	ended   bool
	over    chan struct{}
}

func newStream() *stream { return &stream{over: make(chan struct{})} }

// send sends a part of the body, as far as the server's windows let it. A stream
// that is over sends no more; why is in err.
func (s *stream) send(part []byte, last bool) {
	for first := true; first || len(part) > 0; first = false {
		n, ok := s.conn.reserve(s, len(part))
		if !ok {
			return
		}
		s.conn.write(func(f *http2.Framer) error {
			return f.WriteData(s.id, last && n == len(part), part[:n])
		})
		part = part[n:]
	}
}

// expire gives the stream up, and tells the server.
func (s *stream) expire() {
	c := s.conn
	c.mu.Lock()
	gone := s.ended
	c.finish(s, os.ErrDeadlineExceeded)
	c.mu.Unlock()
	if !gone {
		c.write(func(f *http2.Framer) error { return f.WriteRSTStream(s.id, http2.ErrCodeCancel) })
	}
}
