// Broken on purpose, and seen red:
//
//   - take forgets what it has of a head, or of a payload: TestFramesAreFoundInPiecesOfAnySize
//   - a header block is not looked at; there is a gap before SETTINGS:
//     TestOurFramesComeBetweenTheFramesOfNetHTTP
//   - write does not look for a gap in what it writes: TestOurFramesTakeTheFirstGap
//   - what does not begin with SETTINGS is HTTP/2: TestWhatIsNotHTTP2IsLeftAlone
//   - what is pushed is not open; TLS is not ended: TestAPushedStreamIsWaitedFor
//   - announce leaves streams open: TestAStreamThatCrossesTheGOAWAYOfNetHTTPIsLate
//   - nobody is faulty: TestWhatAFaultyClientLosesIsNotLate
//   - interject's error is net/http's: TestWhatBreaksOffOurFramesIsNoErrorOfNetHTTPs
//   - end forgets what is left over of its GOAWAY;
//     what is left over of a write is followed again; of a warning is forgotten; there is a
//     gap where something is left over: TestAWriteThatIsBrokenOffIsGoneOnWith
//   - wake does not look whether somebody waits: TestOneGoroutineWaitsForAClientThatDoesNotRead
//   - noteBytes does not look at frames; enter listens to net/http on HTTP/2, too:
//     TestStreamsThatComeWhileFlushingAreLate

package drain

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
)

// aConversation is frames of all kinds that a server sends, as another library writes
// them. The header block of stream 5 goes over three frames.
func aConversation(tb testing.TB) []byte {
	tb.Helper()
	var b bytes.Buffer
	f := h2.NewFramer(&b, nil)
	must(tb, f.WriteSettings(h2.Setting{ID: h2.SettingMaxFrameSize, Val: 1 << 20}))
	must(tb, f.WriteSettingsAck())
	must(tb, f.WriteWindowUpdate(0, 1<<20))
	must(tb, f.WriteHeaders(h2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte{0x88}, EndHeaders: true}))
	must(tb, f.WriteHeaders(h2.HeadersFrameParam{StreamID: 5, BlockFragment: []byte{0x88}, EndStream: true}))
	must(tb, f.WriteContinuation(5, false, []byte{0x88}))
	must(tb, f.WriteContinuation(5, true, nil))
	must(tb, f.WritePing(true, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}))
	must(tb, f.WriteData(3, false, make([]byte, 300)))
	must(tb, f.WriteData(3, true, nil))
	must(tb, f.WriteRSTStream(7, h2.ErrCodeCancel))
	return b.Bytes()
}

// inPieces calls f with pieces of b of a size.
func inPieces(b []byte, size int, f func([]byte)) {
	for len(b) > 0 {
		n := min(size, len(b))
		f(b[:n])
		b = b[n:]
	}
}

func TestFramesAreFoundInPiecesOfAnySize(t *testing.T) {
	all := aConversation(t)
	var want []h2.FrameHeader
	for r := h2.NewFramer(nil, bytes.NewReader(all)); ; {
		f, err := r.ReadFrame()
		if err == io.EOF {
			break
		}
		must(t, err)
		want = append(want, f.Header())
	}
	for size := 1; size <= len(all); size++ {
		var s splitter
		var got []frame
		inPieces(all, size, func(p []byte) {
			for len(p) > 0 {
				n, f := s.take(p)
				if p = p[n:]; f != nil {
					got = append(got, *f)
				}
			}
		})
		equal(t, "frames", len(got), len(want))
		for i, f := range got {
			equal(t, "length", f.length, int(want[i].Length))
			equal(t, "kind", f.kind, byte(want[i].Type))
			equal(t, "flags", f.flags, byte(want[i].Flags))
			equal(t, "stream", f.stream, want[i].StreamID)
			if f.kind == framePing {
				equal(t, "payload", f.payload, [8]byte{1, 2, 3, 4, 5, 6, 7, 8})
			}
		}
		equal(t, "between frames at the end", s.between(), true)
	}
}

// paper is a connection on which everything that is written can be read later.
type paper struct {
	net.Conn
	bytes.Buffer
	ended bool
}

func (p *paper) CloseWrite() error { p.ended = true; return nil }

// frames returns what is on it, and wants it to begin as a server does. No frame may
// come where RFC 9113 forbids it: that the Framer knows.
func (p *paper) frames(tb testing.TB) (all []h2.FrameHeader, lastStreams []uint32) {
	tb.Helper()
	for r := h2.NewFramer(nil, p); ; {
		f, err := r.ReadFrame()
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return all, lastStreams
		}
		must(tb, err)
		if g, ok := f.(*h2.GoAwayFrame); ok {
			lastStreams = append(lastStreams, g.LastStreamID)
		}
		if all = append(all, f.Header()); all[0].Type != h2.FrameSettings {
			tb.Fatalf("it begins with %v", all[0])
		}
	}
}

func (p *paper) Write(b []byte) (int, error) { return p.Buffer.Write(b) }
func (p *paper) Read(b []byte) (int, error)  { return p.Buffer.Read(b) }

// written is an HTTP/2 connection whose frames go to paper, and which has a stream.
func written(tb testing.TB) (*http2, *paper, *Conns) {
	tb.Helper()
	cs, wire := New(), new(paper)
	tcp, _ := tcpPair(tb)
	h := cs.add(tcp, false).speakHTTP2(wire)
	h.heard(appendHead(3))
	return h, wire, cs
}

// appendHead is a HEADERS frame that opens a stream and is all of the request.
func appendHead(stream byte) []byte {
	return []byte{0, 0, 1, frameHeaders, flagEndHeaders | flagEndStream, 0, 0, 0, stream, 0x82}
}

func TestOurFramesComeBetweenTheFramesOfNetHTTP(t *testing.T) {
	all := aConversation(t)
	for size := 1; size <= len(all); size++ {
		// The retirement begins before each of the pieces.
		for before := 0; before*size < len(all); before++ {
			h, wire, cs := written(t)
			i := 0
			inPieces(all, size, func(p []byte) {
				if i == before {
					cs.retired.Store(1)
					h.depart() // as Retire does, beside whatever net/http writes
				}
				i++
				n, err := h.write(p)
				must(t, err)
				equal(t, "written", n, len(p))
			})
			_, goAways := wire.frames(t)
			equal(t, "GOAWAYs", len(goAways), 1)
			equal(t, "last stream", goAways[0], everyStream)
			if t.Failed() {
				return
			}
		}
	}
}

// A big answer does not keep us waiting until it ends in a gap.
func TestOurFramesTakeTheFirstGap(t *testing.T) {
	all := aConversation(t)
	h, wire, cs := written(t)
	cs.retired.Store(1)
	_, err := h.write(all[:len(all)-1])
	must(t, err)
	frames, _ := wire.frames(t)
	equal(t, "behind SETTINGS", frames[1].Type, h2.FrameGoAway)
	equal(t, "behind that", frames[2].Type, h2.FramePing)
}

func TestWhatIsNotHTTP2IsLeftAlone(t *testing.T) {
	h, wire, cs := written(t)
	cs.retired.Store(1)
	// Long enough to end what could be taken for a frame.
	refusal := "HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n" + strings.Repeat("\x00", 5<<20)
	_, err := io.WriteString(writer(h.write), refusal)
	must(t, err)
	timeIsOver(h)
	equal(t, "it was left alone", wire.String() == refusal, true)
}

// timeIsOver has h do what it does when its client's time is over, and no goroutine of its
// own that would do it beside the test.
func timeIsOver(h *http2) {
	h.mu.Lock()
	h.woken = true
	h.mu.Unlock()
	h.waitNoMore()
	h.depart()
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// A stream that the server has pushed is waited for, too.
func TestAPushedStreamIsWaitedFor(t *testing.T) {
	h, wire, cs := written(t)
	cs.retired.Store(1)
	f := h2.NewFramer(writer(h.write), nil)
	must(t, f.WriteSettings())
	must(t, f.WriteHeaders(h2.HeadersFrameParam{StreamID: 2, BlockFragment: []byte{0x88}, EndHeaders: true}))
	must(t, f.WriteData(3, true, nil))
	timeIsOver(h)
	equal(t, "has ended", h.hasEnded(), false)
	before := wire.Len()
	must(t, f.WriteData(2, true, nil))
	equal(t, "has ended", h.hasEnded(), true)
	if wire.Len() == before+frameHeadLen {
		t.Error("no GOAWAY came behind the last stream")
	}
	equal(t, "TLS was ended", wire.ended, true)
	equal(t, "requests", cs.Requests(), 1)
}

// net/http decides which stream is its last before it has seen all that have come.
func TestAStreamThatCrossesTheGOAWAYOfNetHTTPIsLate(t *testing.T) {
	h, wire, cs := written(t)
	cs.retired.Store(1)
	f := h2.NewFramer(writer(h.write), nil)
	must(t, f.WriteSettings())
	h.heard(appendHead(5))
	must(t, f.WriteGoAway(3, h2.ErrCodeNo, nil))
	equal(t, "late", cs.Late(), 1)
	timeIsOver(h)
	equal(t, "has ended", h.hasEnded(), false)
	must(t, f.WriteData(3, true, nil))
	equal(t, "has ended", h.hasEnded(), true) // it does not wait for an answer to the other
	_, goAways := wire.frames(t)
	equal(t, "GOAWAYs", len(goAways), 2) // our first, and net/http's
}

// What a client still sends when nobody reads for net/http any more.
func TestStreamsThatComeWhileFlushingAreLate(t *testing.T) {
	cs := New()
	tcp, _ := tcpPair(t)
	c := cs.add(tcp, false)
	h := c.speakHTTP2(c.TCPConn)
	cs.retired.Store(1)
	must(t, h2.NewFramer(writer(h.write), nil).WriteSettings())
	timeIsOver(h)
	equal(t, "has ended", h.hasEnded(), true)
	c.enter(http.StateActive) // which net/http says late of a connection that has just begun
	equal(t, "late", cs.Late(), 0)
	c.noteBytes(appendFrame(nil, framePing, make([]byte, 8)))
	equal(t, "late, when it was no stream", cs.Late(), 0)
	c.noteBytes(append(appendHead(1), appendHead(3)...))
	equal(t, "late", cs.Late(), 2)
}

// A client that breaks the protocol loses what it loses by itself.
func TestWhatAFaultyClientLosesIsNotLate(t *testing.T) {
	h, _, cs := written(t)
	cs.retired.Store(1)
	f := h2.NewFramer(writer(h.write), nil)
	must(t, f.WriteSettings())
	h.heard(appendHead(5))
	must(t, f.WriteGoAway(3, h2.ErrCodeProtocol, nil))
	h.heard(appendHead(7))
	equal(t, "late", cs.Late(), 0)
}

// fitful takes a few bytes of each write, as a connection does whose deadline passes.
type fitful struct {
	*paper
	most int
}

func (w *fitful) Write(p []byte) (int, error) {
	if len(p) <= w.most {
		return w.paper.Write(p)
	}
	n, _ := w.paper.Write(p[:w.most])
	return n, os.ErrDeadlineExceeded
}

// net/http goes on with a write that WriteByteTimeout has broken off.
func TestAWriteThatIsBrokenOffIsGoneOnWith(t *testing.T) {
	all := aConversation(t)
	for most := 1; most <= len(all); most++ {
		h, wire, cs := written(t)
		h.wire = &fitful{wire, most}
		cs.retired.Store(1)
		h.heard(appendHead(5))
		goOn := func(p []byte) {
			for calls := 0; len(p) > 0; calls++ {
				n, err := h.write(p)
				h.depart()
				if p = p[n:]; (err == nil) != (len(p) == 0) || calls > 2*len(all) {
					t.Fatalf("at most %d bytes a time: %d are left, and the error is %v", most, len(p), err)
				}
			}
		}
		goOn(all)
		for tries := 0; !h.hasEnded() && tries < 100; tries++ {
			timeIsOver(h)
		}
		sent, lastStreams := wire.frames(t)
		equal(t, "GOAWAYs", fmt.Sprint(lastStreams), fmt.Sprint([]uint32{everyStream, 5}))
		equal(t, "frames", len(sent), 11+3) // and the PING
		equal(t, "TLS was ended", wire.ended, true)
		equal(t, "requests", cs.Requests(), 2)
	}
}

// Whatever a client does while it does not read, one goroutine waits for it.
func TestOneGoroutineWaitsForAClientThatDoesNotRead(t *testing.T) {
	h, _, _ := written(t)
	h.writing.Lock()
	before := runtime.NumGoroutine()
	for range 1000 {
		h.leave()
	}
	if more := runtime.NumGoroutine() - before; more > 1 {
		t.Errorf("%d goroutines wait", more)
	}
	h.writing.Unlock()
}

// net/http takes an error for the end of the connection, and of all its streams.
func TestWhatBreaksOffOurFramesIsNoErrorOfNetHTTPs(t *testing.T) {
	h, wire, cs := written(t)
	var frames bytes.Buffer
	f := h2.NewFramer(&frames, nil)
	must(t, f.WriteSettings())
	_, err := h.write(frames.Bytes())
	must(t, err)
	cs.retired.Store(1)
	h.wire = &fitful{wire, 30} // of the 34 that we have to say
	frames.Reset()
	must(t, f.WriteData(3, false, []byte("much")))
	_, err = h.write(frames.Bytes())
	must(t, err)
	h.depart()
	sent, _ := wire.frames(t)
	equal(t, "frames", len(sent), 4)
}
