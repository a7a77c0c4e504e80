package drain

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// Conn is an accepted connection that knows what it is doing. It embeds the TCP
// connection so that net/http finds ReadFrom, and with it sendfile.
type Conn struct {
	*net.TCPConn
	conns  *Conns
	secure bool // it carries TLS

	// word is the state and when it was entered: in one word so that whoever closes an
	// idle connection can be sure that nothing was read from it meanwhile.
	word     atomic.Uint64
	requests atomic.Int64
	http2    atomic.Pointer[http2] // nil: it speaks HTTP/1, as far as we know
	late     atomic.Bool
	midway   atomic.Bool // closed in the middle of a request, or hijacked
	greeted  int8        // bytes of HTTP/2's preface that were read; -1: it is none. Read's
	kept     atomic.Bool // has had an HTTP/1 request: bytes that come now are of another

	prev, next *Conn // guarded by conns.mu
}

// state is what a connection is doing.
//
//	fresh ──> reading ──> whole ──> active ──> idle ──> reading …
//	                                   └─────> hijacked
//	fresh, reading, whole ──> streams ──> moving ──> moved  HTTP/2
//	fresh, reading, idle ──> halfClosed                  by Linger
//	streams, moved ──> halfClosed                        see http2
//	any ──> flushing ──> closed                          by Close while retiring
//	any ──> closed                                       by Close otherwise
type state uint64

const (
	fresh      state = iota // accepted, no byte read
	reading                 // bytes of a request have been read, not all of its header
	whole                   // the header has been read
	active                  // a handler has the request
	idle                    // between two requests
	hijacked                // in the hands of a handler
	streams                 // HTTP/2: its streams are what it does
	moving                  // HTTP/2, and the client knows that it is to open no more
	moved                   // HTTP/2, and the client opens no stream any more
	halfClosed              // we have ended our side of an idle connection
	flushing                // closed by the server; waiting until the peer has everything
	closed

	stateBits = 4
)

// word packs a state with the time.
func (cs *Conns) word(s state) uint64 { return uint64(cs.stamp())<<stateBits | uint64(s) }

func split(word uint64) (state, int64) {
	return state(word & (1<<stateBits - 1)), int64(word >> stateBits)
}

// live says whether Linger waits for a connection in this state.
func (s state) live() bool { return s <= idle || s == streams || s == moving || s == halfClosed }

// mayBecome says whether to may follow. A connection that net/http no longer knows all
// about, or that is on its way out, does not come back.
func (s state) mayBecome(to state) bool {
	return s != to && (s < hijacked || to > s)
}

// enter follows what net/http says of the connection. That a request has been read
// after we have ended our side means that it came too late.
func (c *Conn) enter(to http.ConnState) {
	if c.http2.Load() != nil {
		return // which knows better
	}
	switch to {
	case http.StateActive:
		if from, _ := c.move(whole); from == halfClosed || from == flushing {
			c.noteLate()
		}
	case http.StateIdle:
		c.move(idle)
	case http.StateHijacked:
		c.midway.Store(true) // what comes is the handler's, also right after Close
		c.move(hijacked)
	}
}

// begin notes that a handler is about to run. Of a pipelined request net/http has
// not said that it was read, so this is the first we hear of it. It says false when
// nobody would get the answer, because we have ended our side.
func (c *Conn) begin() bool {
	from, moved := c.move(active)
	if !moved && from >= halfClosed {
		c.noteLate()
	}
	c.kept.Store(true)
	return moved || from == active
}

// move enters a state if it may follow the present one, which it returns.
func (c *Conn) move(to state) (from state, moved bool) {
	for {
		word := c.word.Load()
		if from, _ = split(word); !from.mayBecome(to) {
			return from, false
		}
		if c.swap(word, to) {
			return from, true
		}
	}
}

// swap enters a state if nothing has happened since word was read.
func (c *Conn) swap(word uint64, to state) bool {
	if !c.word.CompareAndSwap(word, c.conns.word(to)) {
		return false
	}
	switch from, _ := split(word); {
	case from.live() && !to.live():
		c.conns.live.Add(-1)
		c.conns.noteLeft()
	case !from.live() && to.live():
		c.conns.live.Add(1)
	}
	return true
}

// restartClock gives an HTTP/2 client its time to acknowledge from now on.
func (c *Conn) restartClock() {
	if word := c.word.Load(); word&(1<<stateBits-1) == uint64(streams) {
		c.swap(word, streams)
	}
}

// Read notes that bytes have arrived. Bytes that arrive after we have ended our
// side cannot be answered: they are counted as late, and the server is told that
// the connection has ended.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		if err := c.over(); err != nil {
			return 0, err
		}
		n, err := c.TCPConn.Read(p)
		if n > 0 && c.heard(p[:n]) {
			return n, err
		}
		if err != nil {
			return 0, c.ending(err)
		}
	}
}

// over is the error of a Read that can get no more, or nil. On HTTP/2 we read on after
// the end of our side.
func (c *Conn) over() error {
	switch s, _ := split(c.word.Load()); {
	case s < halfClosed || s == halfClosed && c.http2.Load() != nil:
		return nil
	case s == halfClosed:
		return io.EOF
	default:
		return net.ErrClosed
	}
}

// ending makes the end of a connection of an error, when it is only the deadline by
// which flush, Linger or http2 woke us.
func (c *Conn) ending(err error) error {
	switch s, _ := split(c.word.Load()); {
	case s < halfClosed:
		return err
	case s == halfClosed:
		return io.EOF
	default:
		return net.ErrClosed
	}
}

// heard notes what has been read. It says false when that is not for the server.
func (c *Conn) heard(what []byte) bool {
	if c.greeted >= 0 {
		what = c.greet(what)
	}
	if h := c.http2.Load(); h != nil {
		return !h.clear() || h.heard(what)
	}
	for {
		word := c.word.Load()
		switch s, _ := split(word); {
		case s == whole || s == active || s == hijacked:
			return true
		case s >= halfClosed:
			c.noteBytes(what)
			return false
		}
		if c.swap(word, reading) {
			return true
		}
	}
}

// greet looks whether the client begins as HTTP/2 does. It returns what is left to
// look at: what follows the preface. A server that does not speak it, or that does so
// in a handler which hijacks the connection, sees the same bytes.
func (c *Conn) greet(what []byte) []byte {
	n := min(len(what), len(preface)-int(c.greeted))
	if string(what[:n]) != preface[c.greeted:int(c.greeted)+n] {
		c.greeted = -1
		return what
	}
	if c.greeted += int8(n); int(c.greeted) < len(preface) {
		return what
	}
	c.greeted = -1
	c.speakHTTP2(c.TCPConn)
	return what[n:]
}

// Write is the TCP connection's, but for HTTP/2.
func (c *Conn) Write(p []byte) (int, error) {
	if h := c.http2.Load(); h != nil && h.clear() {
		return h.write(p)
	}
	return c.TCPConn.Write(p)
}

// noteBytes counts bytes that came after we had ended our side: as one late request, or
// on HTTP/2 as many as they open streams. Under TLS that cannot be seen any more by now;
// http2 has looked for as long as a client takes to hear of the end.
func (c *Conn) noteBytes(what []byte) {
	switch h := c.http2.Load(); {
	case h != nil && h.clear():
		h.heard(what)
	case h == nil && !farewell(what):
		c.noteLate()
	}
}

// farewell says whether these bytes are only a TLS client that ends its side: a
// close_notify alert. In TLS 1.3 it looks like data, of a length that no request has.
func farewell(b []byte) bool {
	const alert, data, alertLen = 21, 23, 2 + 1 + 16
	return len(b) >= 5 && (b[0] == alert || b[0] == data && b[3] == 0 && b[4] == alertLen)
}

// noteLate counts a request that came too late, once for each connection. What
// comes after a connection was closed in the middle of a request may be the rest
// of that request, and is not counted.
func (c *Conn) noteLate() {
	if s, _ := split(c.word.Load()); s == closed {
		return // cut, and counted as such, or closed before the retirement
	}
	if !c.midway.Load() && !c.late.Swap(true) {
		c.conns.late.Add(1)
	}
}

// Close closes the connection. While retiring it returns at once, and flush goes
// on behind it.
func (c *Conn) Close() error {
	if c.conns.retired.Load() == 0 || c.conns.cut.Load() {
		return c.end()
	}
	shutdown := c.conns.lingered.Load() // asked before we move, which may be what Linger waits for
	from, moved := c.move(flushing)
	if !moved {
		return nil
	}
	asked := from == whole || from == reading && (c.kept.Load() || !c.secure) // and not only shaken hands
	if asked && shutdown {
		c.noteLate() // thrown away by Shutdown: no handler had it (golang/go#75591)
	}
	if from == reading || from == whole || from == active {
		c.midway.Store(true)
	}
	go c.flush()
	return nil
}

// gone says whether the connection is no longer the server's to answer on.
func (c *Conn) gone() bool {
	s, _ := split(c.word.Load())
	return s >= hijacked
}

// end closes the socket.
func (c *Conn) end() error {
	if _, moved := c.move(closed); !moved {
		return nil
	}
	defer c.conns.remove(c)
	return c.TCPConn.Close()
}
