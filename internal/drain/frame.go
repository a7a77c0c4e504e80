package drain

import "encoding/binary"

// What we have to know of HTTP/2 (RFC 9113) to put frames of our own between those
// of net/http, and to know which streams are open.

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // what a client begins with; 3.4

// Frame types; RFC 9113 6.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameRST          = 0x3
	frameSettings     = 0x4
	framePushPromise  = 0x5
	framePing         = 0x6
	frameGoAway       = 0x7
	frameContinuation = 0x9
)

// Frame flags.
const (
	flagAck        = 0x1 // of SETTINGS and PING
	flagEndStream  = 0x1 // of DATA and HEADERS
	flagEndHeaders = 0x4
)

const (
	frameHeadLen = 9
	keptPayload  = 8 // as much as a PING has, which is all that we read
)

// frame is a frame, but for most of its payload.
type frame struct {
	length  int
	kind    byte
	flags   byte
	stream  uint32
	payload [keptPayload]byte // how it begins
}

func (f *frame) has(flag byte) bool { return f.flags&flag != 0 }

// endsStream says whether nothing comes after it on its stream, in this direction.
func (f *frame) endsStream() bool {
	return f.kind == frameRST || f.has(flagEndStream) && (f.kind == frameData || f.kind == frameHeaders)
}

// lastStream is what a GOAWAY announces.
func (f *frame) lastStream() uint32 { return binary.BigEndian.Uint32(f.payload[:]) &^ (1 << 31) }

// errorCode is why a GOAWAY was sent; 0 is no error.
func (f *frame) errorCode() uint32 { return binary.BigEndian.Uint32(f.payload[4:]) }

// splitter finds the frames in one direction of a connection, whatever the pieces in
// which it comes. The zero value stands before a frame.
type splitter struct {
	frame frame
	seen  int // bytes of the present frame, head and payload
	head  [frameHeadLen]byte
}

// between says whether a frame has ended and none has begun.
func (s *splitter) between() bool { return s.seen == 0 }

// take follows p to the end of a frame, or of p. It returns how much of p that is, and
// the frame if it has ended.
func (s *splitter) take(p []byte) (n int, ended *frame) {
	if s.seen < frameHeadLen {
		n = copy(s.head[s.seen:], p)
		if s.seen += n; s.seen < frameHeadLen {
			return n, nil
		}
		s.frame = parseHead(s.head)
	}
	m := min(len(p)-n, frameHeadLen+s.frame.length-s.seen)
	if at := s.seen - frameHeadLen; at < keptPayload {
		copy(s.frame.payload[at:], p[n:n+m])
	}
	n, s.seen = n+m, s.seen+m
	if s.seen < frameHeadLen+s.frame.length {
		return n, nil
	}
	s.seen = 0
	return n, &s.frame
}

func parseHead(b [frameHeadLen]byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		kind:   b[3],
		flags:  b[4],
		stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31),
	}
}

// appendFrame appends a frame of our own.
func appendFrame(b []byte, kind byte, payload []byte) []byte {
	n := len(payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), kind, 0, 0, 0, 0, 0)
	return append(b, payload...)
}

// appendGoAway appends a GOAWAY without an error; 6.8.
func appendGoAway(b []byte, lastStream uint32) []byte {
	return appendFrame(b, frameGoAway, binary.BigEndian.AppendUint32(
		binary.BigEndian.AppendUint32(nil, lastStream), 0))
}

// outgoing follows the frames that a server sends, and knows where others may go in
// between.
type outgoing struct {
	splitter
	begun   bool // its SETTINGS have gone out, which must come first; 3.4
	block   bool // a header block is open: its frames must follow each other; 4.3
	strange bool // this is not HTTP/2
}

// take is splitter's.
func (o *outgoing) take(p []byte) (n int, ended *frame) {
	n, f := o.splitter.take(p)
	if f == nil {
		return n, nil
	}
	if !o.begun {
		o.begun, o.strange = true, f.kind != frameSettings
	}
	switch f.kind {
	case frameHeaders, framePushPromise, frameContinuation:
		o.block = !f.has(flagEndHeaders)
	}
	return n, f
}

// gap says whether a frame of another sender's may come next.
func (o *outgoing) gap() bool { return o.begun && o.between() && !o.block && !o.strange }

// untilGap returns how much of p it takes to the next gap, or all of it.
func (o outgoing) untilGap(p []byte) (n int) {
	for n < len(p) {
		m, _ := o.take(p[n:])
		if n += m; o.gap() {
			break
		}
	}
	return n
}
