package drain

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// everyStream is the last stream that the first GOAWAY announces: none is refused, but
// the client is to open no more on this connection; RFC 9113 6.8.
const everyStream = 1<<31 - 1

// pingData marks the PING behind our first GOAWAY. net/http's own have random data.
var pingData = [keptPayload]byte{'o', 'v', 'e', 'r', 'l', 'a', 'p', '2'}

// http2 watches the frames of an HTTP/2 connection, to end it in two steps as RFC 9113
// 6.8 has it. net/http's server ends one in a single step, with a GOAWAY that names the
// last stream it knows, and discards streams that cross it; a client may not repeat
// those whose body it cannot read again.
//
//	told    a GOAWAY that names no stream has gone out, and a PING behind it
//	moving  the PING was acknowledged: the client knows, and means to open no more
//	moved   a moment later: what it had begun to open before it knew has come. Go's
//	        own numbers a stream, then writes it, and acknowledges in between
//	ended   no stream is open any more: a GOAWAY that names the last one has gone out,
//	        and the end of our side
//
// Both directions are watched from the first byte on, or one would not know where a
// frame ends. What the client sends after the end is read on, to see whether it opens
// streams: those are late.
type http2 struct {
	conn *Conn
	wire net.Conn // what is written to: the TCP connection, or TLS over it

	writing sync.Mutex // held while something is written; taken before mu
	out     outgoing
	ahead   int    // bytes that out has followed and that are not written: a write that broke off
	unsaid  []byte // of ours, likewise
	told    bool

	mu      sync.Mutex
	in      splitter
	open    map[uint32]stream // those that have not ended
	highest uint32            // of the client's streams
	last    uint32            // stream that we, or net/http, have announced
	faulty  bool              // and that because of an error: what it loses by that is its own
	pinged  bool              // told's PING has been written
	acked   bool              // and acknowledged
	moved   bool
	ended   bool
	woken   bool // depart has been called and waits
}

// stream is one that is open.
type stream struct {
	ended halves
	since int64 // the stamp of its begin
}

// halves of a stream: a bit for each that has ended.
type halves byte

const (
	theirs halves = 1 << iota
	ours
)

// speakHTTP2 says that c speaks HTTP/2 from here on: after the client's preface, and
// before anything of ours.
func (c *Conn) speakHTTP2(wire net.Conn) *http2 {
	h := &http2{conn: c, wire: wire, open: make(map[uint32]stream), last: everyStream}
	c.http2.Store(h)
	c.move(streams)
	return h
}

// clear says whether the frames are what the TCP connection carries.
func (h *http2) clear() bool { return h.wire == h.conn.TCPConn }

// write writes for net/http, and puts between two of its frames what we have to say. A
// client that does not read holds up nobody but itself.
func (h *http2) write(p []byte) (n int, err error) {
	h.writing.Lock()
	defer h.writing.Unlock()
	for n < len(p) && err == nil {
		if h.hasEnded() {
			return len(p), nil // net/http does not know yet that nobody listens
		}
		var m int
		m, err = h.pass(p[n:])
		n += m
	}
	return n, err
}

// pass writes a piece of p, and behind it what we have to say. h.writing is held.
func (h *http2) pass(p []byte) (n int, err error) {
	if err := h.say(nil); err != nil {
		return 0, err
	}
	n, err = h.wire.Write(h.piece(p))
	h.ahead -= n
	if err == nil {
		h.interject()
	}
	return n, err
}

// piece returns as much of p as goes out at once, and takes it down. What a write before
// has left over is noted already: net/http goes on with it where a deadline broke the
// write off (HTTP2Config.WriteByteTimeout). h.writing is held.
func (h *http2) piece(p []byte) []byte {
	if h.ahead > 0 {
		return p[:min(len(p), h.ahead)]
	}
	if h.due() {
		p = p[:h.out.untilGap(p)]
	}
	h.follow(p)
	h.ahead = len(p)
	return p
}

// say writes frames of ours, behind what is left over of others. h.writing is held.
func (h *http2) say(frames []byte) error {
	h.unsaid = append(h.unsaid, frames...)
	if len(h.unsaid) == 0 {
		return nil
	}
	n, err := h.wire.Write(h.unsaid)
	h.unsaid = h.unsaid[n:]
	return err
}

// due says whether the first GOAWAY has to go out: not before the first stream has come.
// Who connects means to send something, and Go's own client fails a request whose new
// connection ends before it was used ("client conn could not be established"). h.writing
// is held.
func (h *http2) due() bool {
	if h.told || h.conn.conns.retired.Load() == 0 {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.highest > 0 || h.moved
}

// follow takes down what is about to be written. Behind Write it would be too late: the
// client may have closed by then, and the connection be gone with its count of requests.
// h.writing is held.
func (h *http2) follow(p []byte) {
	for len(p) > 0 {
		n, f := h.out.take(p)
		p = p[n:]
		if f != nil && !h.out.strange {
			h.note(f)
		}
	}
}

// note takes down what a frame of net/http's does to the streams.
func (h *http2) note(f *frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.kind == frameGoAway {
		h.faulty = h.faulty || f.errorCode() != 0
		h.announce(f.lastStream())
	}
	if f.kind == frameHeaders && f.stream%2 == 0 {
		h.open[f.stream] = stream{theirs, h.conn.conns.stamp()} // pushed: it has no other half
	}
	if h.close(f, ours) && f.stream%2 == 1 {
		h.conn.requests.Add(1)
	}
}

// close ends what f ends of its stream: one half, or both by RST_STREAM, which net/http
// sends behind an answer that did not need all of the body. It says whether it was
// that half. h.mu is held.
func (h *http2) close(f *frame, half halves) (closed bool) {
	s, open := h.open[f.stream]
	if !open || !f.endsStream() {
		return false
	}
	if f.kind == frameRST || s.ended|half == theirs|ours {
		delete(h.open, f.stream)
	} else {
		h.open[f.stream] = stream{s.ended | half, s.since}
	}
	return f.kind != frameRST
}

// announce says which stream is the last. net/http takes no notice of one that it did
// not know when it decided to say so. h.mu is held.
func (h *http2) announce(last uint32) {
	h.last = min(h.last, last)
	for id := range h.open {
		if id > h.last && id%2 == 1 {
			delete(h.open, id)
			h.noteLate()
		}
	}
}

func (h *http2) noteLate() {
	if h.conn.conns.retired.Load() != 0 && !h.faulty {
		h.conn.conns.late.Add(1)
	}
}

// heard follows what was read. It says whether that is for net/http: not when our side
// has ended.
func (h *http2) heard(p []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.highest == 0
	for len(p) > 0 {
		n, f := h.in.take(p)
		p = p[n:]
		if f != nil {
			h.receive(f)
		}
	}
	if h.conn.conns.retired.Load() != 0 && (first && h.highest > 0 || h.moved && !h.ended && len(h.open) == 0) {
		h.wake()
	}
	return !h.ended
}

// receive takes down what a frame of the client's does. h.mu is held.
func (h *http2) receive(f *frame) {
	switch {
	case f.kind == frameHeaders && f.stream > h.highest && f.stream > h.last:
		h.noteLate()
		h.highest = f.stream
	case f.kind == frameHeaders && f.stream > h.highest:
		h.open[f.stream] = stream{since: h.conn.conns.stamp()}
		h.highest = f.stream
	case f.kind == framePing && f.has(flagAck) && f.payload == pingData && h.pinged && !h.acked:
		h.acked = true
		h.conn.move(moving)
		time.AfterFunc(h.conn.conns.patience, h.waitNoMore)
	}
	h.close(f, theirs)
}

// interject writes what is due, if this is a gap. h.writing is held.
//
// An error is net/http's to find, with its next write: it is not of what it has written.
// The deadline of its last write may have broken off what we say, which goes on after it.
func (h *http2) interject() {
	if h.ahead > 0 || !h.out.gap() || h.conn.conns.retired.Load() == 0 {
		return
	}
	err := h.say(nil)
	if err == nil && h.due() {
		h.told = true
		err = h.say(h.warning())
		h.conn.restartClock()
	}
	if err == nil {
		err = h.endIfDone()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		time.AfterFunc(minTick, h.leave)
	}
}

// warning is the first GOAWAY and the PING behind it. Where net/http has named a last
// stream already that stands: who names a higher one after it breaks the protocol.
func (h *http2) warning() (frames []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pinged = true
	if h.last == everyStream {
		frames = appendGoAway(frames, everyStream)
	}
	return appendFrame(frames, framePing, pingData[:])
}

// endIfDone ends our side where nothing is left to say. h.writing is held.
func (h *http2) endIfDone() error {
	goAway, end := h.mayEnd()
	if !end {
		return nil
	}
	return h.end(goAway)
}

// mayEnd decides that our side ends here, where it may. From then on a stream is late. It
// returns the GOAWAY that says which was the last, unless that has been said.
func (h *http2) mayEnd() (goAway []byte, end bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.moved || h.ended || len(h.open) > 0 {
		return nil, false
	}
	if h.last == everyStream {
		goAway = appendGoAway(nil, h.highest)
	}
	h.last = min(h.last, h.highest)
	return goAway, true
}

// end says which stream was the last, and ends our side. The client has a while to end
// its own; then net/http is told. h.writing is held.
func (h *http2) end(goAway []byte) error {
	if err := h.say(goAway); err != nil {
		return err
	}
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.conn.move(halfClosed)
	time.AfterFunc(parting, func() { h.conn.SetReadDeadline(longAgo) })
	if tls, ok := h.wire.(interface{ CloseWrite() error }); ok && !h.clear() {
		tls.CloseWrite() // the alert that says that this is the end
	}
	return h.conn.CloseWrite()
}

func (h *http2) hasEnded() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
}

func (h *http2) busy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open) > 0
}

// oldest returns since when the oldest of the open streams is, or now.
func (h *http2) oldest(now int64) (since int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	since = now
	for _, s := range h.open {
		since = min(since, s.since)
	}
	return since
}

// leave has what is due said.
func (h *http2) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake()
}

// wake calls depart, once at a time: it writes, and may have to wait for that until the
// client reads. h.mu is held.
func (h *http2) wake() {
	if !h.woken {
		h.woken = true
		go h.depart()
	}
}

// depart says what is due.
func (h *http2) depart() {
	h.writing.Lock()
	defer h.writing.Unlock()
	h.mu.Lock()
	h.woken = false
	h.mu.Unlock()
	h.interject()
}

// waitNoMore takes it that no more streams come: the client has had its time, to
// acknowledge or after that.
func (h *http2) waitNoMore() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moved = true
	h.conn.move(moved)
	h.wake()
}
