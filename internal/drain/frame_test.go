// Broken on purpose, and seen red:
//
//   - take forgets what it has of a head, or of a payload: TestFramesAreFoundInPiecesOfAnySize
//   - a header block is not looked at, CONTINUATION does not end it; the beginning is a
//     gap: TestOurFramesComeBetweenTheFramesOfNetHTTP
//   - what does not begin with SETTINGS is HTTP/2: TestWhatIsNotHTTP2IsLeftAlone

package drain

import (
	"bytes"
	"io"
	"net"
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
			goAways := 0
			for r := h2.NewFramer(nil, wire); ; {
				f, err := r.ReadFrame() // which knows where no frame may come
				if err == io.EOF {
					break
				}
				must(t, err)
				if g, ok := f.(*h2.GoAwayFrame); ok {
					goAways++
					equal(t, "last stream", g.LastStreamID, everyStream)
				}
			}
			equal(t, "GOAWAYs", goAways, 1)
			if t.Failed() {
				return
			}
		}
	}
}

func TestWhatIsNotHTTP2IsLeftAlone(t *testing.T) {
	h, wire, cs := written(t)
	cs.retired.Store(1)
	const refusal = "HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n"
	_, err := io.WriteString(writer(h.write), refusal)
	must(t, err)
	h.giveUp()
	equal(t, "written", wire.String(), refusal)
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
	h.giveUp()
	equal(t, "has ended", h.hasEnded(), false)
	before := wire.Len()
	must(t, f.WriteData(2, true, nil))
	equal(t, "has ended", h.hasEnded(), true)
	if wire.Len() == before+frameHeadLen {
		t.Error("no GOAWAY came behind the last stream")
	}
	equal(t, "requests", cs.Requests(), 1)
}
