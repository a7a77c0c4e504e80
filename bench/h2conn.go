package main

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

type field = hpack.HeaderField

const (
	h2Window  = 65535       // what both sides start with (RFC 9113 6.9.2)
	h2Refill  = 16 << 10    // give the server's window back in portions of this
	h2Patient = time.Minute // a write that takes longer means a server that reads no more
)

// h2conn is one HTTP/2 connection, from the client's side. Its reader, which ends
// with the connection, is the only one who reads.
type h2conn struct {
	conn   net.Conn
	no     int64 // see dialer.number
	framer *http2.Framer

	writing sync.Mutex // taken before mu
	encoder *hpack.Encoder
	block   bytes.Buffer // what the encoder writes

	mu       sync.Mutex
	grown    *sync.Cond // a window has grown, or a stream is over
	streams  map[uint32]*stream
	nextID   uint32
	window   int64 // how much the server takes on all streams together
	initial  int64 // and on each new one
	maxFrame int
	pending  int   // as in stream
	leaving  bool  // no new streams
	err      error // the connection has ended
}

// startH2 says hello. The connection has to be left.
func startH2(conn net.Conn) (*h2conn, error) {
	c := &h2conn{
		conn: conn, framer: http2.NewFramer(conn, conn),
		streams: map[uint32]*stream{}, nextID: 1,
		window: h2Window, initial: h2Window, maxFrame: 16 << 10,
	}
	c.grown = sync.NewCond(&c.mu)
	c.encoder = hpack.NewEncoder(&c.block)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.SetReuseFrames()
	if err := c.hello(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("send: %w", err)
	}
	go c.read()
	return c, nil
}

// hello goes out in one piece, as real clients send it: net/http's server waits 2s for the
// SETTINGS behind a preface, and a packet that is lost alone may be longer on its way.
func (c *h2conn) hello() error {
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	hello := bytes.NewBufferString(http2.ClientPreface)
	if err := http2.NewFramer(hello, nil).WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}); err != nil {
		return err
	}
	_, err := hello.WriteTo(c.conn)
	return err
}

// usable says whether new streams may be opened. As the HTTP/1 client does, it looks
// before it sends on an idle connection: what waits there to be read is a farewell.
func (c *h2conn) usable() bool {
	c.mu.Lock()
	idle, usable := len(c.streams) == 0 && c.nextID > 1, !c.leaving && c.err == nil
	c.mu.Unlock()
	return usable && !(idle && ended(c.conn))
}

// open sends the head of a request. It says false when the connection takes no new
// stream: then nothing was sent.
func (c *h2conn) open(fields []field, s *stream) (opened bool, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if !c.enroll(s) {
		return false, nil
	}
	c.block.Reset()
	for _, f := range fields {
		if err := c.encoder.WriteField(f); err != nil {
			return true, err
		}
	}
	c.send(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: c.block.Bytes(), EndHeaders: true})
	})
	return true, nil
}

func (c *h2conn) enroll(s *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving || c.err != nil {
		return false
	}
	s.conn, s.id, s.window = c, c.nextID, c.initial
	c.nextID += 2
	c.streams[s.id] = s
	return true
}

// reserve waits until some of n bytes may go out on s, and returns how many.
func (c *h2conn) reserve(s *stream, n int) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !s.ended {
		if may := min(int64(n), c.window, s.window, int64(c.maxFrame)); may > 0 || n == 0 {
			c.window -= may
			s.window -= may
			return int(may), true
		}
		c.grown.Wait()
	}
	return 0, false
}

// write sends a frame. Where it cannot, the reader will learn why.
func (c *h2conn) write(frame func(*http2.Framer) error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.send(frame)
}

func (c *h2conn) send(frame func(*http2.Framer) error) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(h2Patient)) // of a closed connection, as the write then says
	if err := frame(c.framer); err != nil {
		c.end(fmt.Errorf("send: %w", err))
	}
}

// finish ends a stream. err says why it has no whole answer.
func (c *h2conn) finish(s *stream, err error) {
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	delete(c.streams, s.id)
	close(s.over)
	c.grown.Broadcast()
	c.closeIfDone()
}

// closeIfDone closes a connection that has nothing left to do.
func (c *h2conn) closeIfDone() {
	if c.leaving && len(c.streams) == 0 {
		c.conn.Close()
	}
}

// leave opens no more streams. The connection closes behind the last one.
func (c *h2conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	c.closeIfDone()
}

// end notes that the connection has ended, and all streams with it.
func (c *h2conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err, c.leaving = err, true
	}
	for _, s := range c.streams {
		c.finish(s, err)
	}
	c.conn.Close()
}

// status reads the status of a response, 0 where there is none.
func statusOf(f *http2.MetaHeadersFrame) int {
	n, _ := strconv.Atoi(f.PseudoValue("status"))
	return n
}
