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
	conns *Conns

	// word is the state and, while retiring, when it was entered: in one word so
	// that whoever closes an idle connection can be sure that nothing was read
	// from it meanwhile.
	word     atomic.Uint64
	requests atomic.Int64
	late     atomic.Bool
	midway   atomic.Bool // closed in the middle of a request

	prev, next *Conn // guarded by conns.mu
}

// state is what a connection is doing.
//
//	fresh ──> reading ──> active ──> idle ──> reading …
//	                         └─────> hijacked
//	fresh, reading, idle ──> halfClosed    by Linger, when nothing came for long
//	any ──> flushing ──> closed            by Close while retiring
//	any ──> closed                         by Close otherwise
type state uint64

const (
	fresh      state = iota // accepted, no byte read
	reading                 // bytes of a request have been read, not all of its header
	active                  // a request is being answered
	idle                    // between two requests
	hijacked                // in the hands of a handler
	halfClosed              // we have ended our side of an idle connection
	flushing                // closed by the server; waiting until the peer has everything
	closed

	stateBits = 3
)

// word packs a state with the time, which only a retirement needs to know.
func (cs *Conns) word(s state) uint64 {
	if cs.retired.Load() == 0 {
		return uint64(s)
	}
	return uint64(cs.now())<<stateBits | uint64(s)
}

func split(word uint64) (state, int64) {
	return state(word & (1<<stateBits - 1)), int64(word >> stateBits)
}

// live says whether Linger waits for a connection in this state.
func (s state) live() bool { return s <= halfClosed && s != hijacked }

// mayBecome says whether to may follow. A connection that is on its way out does
// not come back.
func (s state) mayBecome(to state) bool {
	return s != to && (s < halfClosed || to > s)
}

// enter follows what net/http says of the connection.
func (c *Conn) enter(to http.ConnState) {
	switch to {
	case http.StateActive:
		c.move(active)
	case http.StateIdle:
		c.move(idle)
	case http.StateHijacked:
		c.move(hijacked)
	}
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
	if from, _ := split(word); from.live() && !to.live() {
		c.conns.live.Add(-1)
		c.conns.noteLeft()
	}
	return true
}

// Read notes that bytes have arrived. Bytes that arrive after we have ended our
// side cannot be answered: they are counted as late, and the server is told that
// the connection has ended.
func (c *Conn) Read(p []byte) (int, error) {
	if s, _ := split(c.word.Load()); s == halfClosed {
		return 0, io.EOF
	}
	n, err := c.TCPConn.Read(p)
	if n > 0 && !c.heard() {
		return 0, io.EOF
	}
	return n, err
}

func (c *Conn) heard() (inTime bool) {
	for {
		word := c.word.Load()
		switch from, _ := split(word); from {
		case active, hijacked:
			return true
		case halfClosed, flushing, closed:
			c.noteLate()
			return false
		}
		if c.swap(word, reading) {
			return true
		}
	}
}

// noteLate counts a request that came too late, once for each connection. What
// comes after a connection was closed in the middle of a request may be the rest
// of that request, and is not counted.
func (c *Conn) noteLate() {
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
	from, moved := c.move(flushing)
	if moved {
		c.midway.Store(from == active || from == hijacked)
		go c.flush()
	}
	return nil
}

// end closes the socket.
func (c *Conn) end() error {
	if _, moved := c.move(closed); !moved {
		return nil
	}
	defer c.conns.remove(c)
	return c.TCPConn.Close()
}
