package drain

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// ways are the ways in which a server of net/http's comes to speak HTTP/2.
var ways = map[string]func(testing.TB, http.Handler, ...func(*http.Server)) *service{
	"in clear": serveH2C,
	"over TLS": serveH2,
}

func serveH2C(tb testing.TB, h http.Handler, prepare ...func(*http.Server)) *service {
	tb.Helper()
	return serve(tb, h, append([]func(*http.Server){withH2C}, prepare...)...)
}

func serveH2(tb testing.TB, h http.Handler, prepare ...func(*http.Server)) *service {
	tb.Helper()
	return serve(tb, h, append([]func(*http.Server){withTLS, withH2}, prepare...)...)
}

func withH2C(srv *http.Server) {
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
}

func withH2(srv *http.Server) { srv.TLSConfig.NextProtos = []string{"h2", "http/1.1"} }

// everyWay runs a test for each way.
func everyWay(t *testing.T, test func(*testing.T, func(http.Handler, ...func(*http.Server)) *service)) {
	for name, serve := range ways {
		t.Run(name, func(t *testing.T) {
			test(t, func(h http.Handler, prepare ...func(*http.Server)) *service {
				t.Helper()
				return serve(t, h, prepare...)
			})
		})
	}
}

// client2 speaks HTTP/2 frame by frame: it does what the test says and nothing else, but
// that it acknowledges SETTINGS.
type client2 struct {
	testing.TB
	tcp    *net.TCPConn
	conn   net.Conn
	framer *h2.Framer
	block  bytes.Buffer
	hpack  *hpack.Encoder
}

// dial2 connects and shakes hands. It acknowledges no PING.
func dial2(tb testing.TB, s *service) *client2 {
	tb.Helper()
	c := connect2(tb, s)
	c.greet()
	return c
}

func connect2(tb testing.TB, s *service) *client2 {
	tb.Helper()
	raw := dial(tb, s.addr)
	c := &client2{TB: tb, tcp: raw.TCPConn, conn: raw.TCPConn}
	if s.tls {
		c.conn = tls.Client(raw.TCPConn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	}
	c.framer = h2.NewFramer(c.conn, c.conn)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.hpack = hpack.NewEncoder(&c.block)
	return c
}

func (c *client2) greet() {
	c.Helper()
	_, err := io.WriteString(c.conn, h2.ClientPreface)
	must(c, err)
	must(c, c.framer.WriteSettings())
	c.settings()
}

// settings waits for the server's, and acknowledges them.
func (c *client2) settings() {
	c.Helper()
	f, ok := c.read().(*h2.SettingsFrame)
	if !ok || f.IsAck() {
		c.Fatalf("the server begins with %v", f)
	}
	must(c, c.framer.WriteSettingsAck())
}

// read returns the next frame that a test is interested in.
func (c *client2) read() h2.Frame {
	c.Helper()
	for {
		f, err := c.framer.ReadFrame()
		must(c, err)
		switch f := f.(type) {
		case *h2.WindowUpdateFrame:
			continue
		case *h2.SettingsFrame:
			if f.IsAck() {
				continue
			}
		}
		return f
	}
}

// open sends the header of a request on a stream; what else is up to the test.
func (c *client2) open(stream uint32, method, path string, end bool) {
	c.Helper()
	c.block.Reset()
	scheme := "http"
	if c.conn != net.Conn(c.tcp) {
		scheme = "https"
	}
	for _, f := range [][2]string{{":method", method}, {":scheme", scheme}, {":authority", "h"}, {":path", path}} {
		must(c, c.hpack.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	must(c, c.framer.WriteHeaders(h2.HeadersFrameParam{
		StreamID: stream, BlockFragment: c.block.Bytes(), EndHeaders: true, EndStream: end,
	}))
}

func (c *client2) get(stream uint32, path string) { c.Helper(); c.open(stream, "GET", path, true) }

// told wants the first GOAWAY and the PING behind it.
func (c *client2) told() {
	c.Helper()
	c.goAway(everyStream)
	f, ok := c.read().(*h2.PingFrame)
	if !ok || f.IsAck() || f.Data != pingData {
		c.Fatalf("behind the first GOAWAY comes %v", f)
	}
}

func (c *client2) goAway(last uint32) {
	c.Helper()
	f := c.read()
	goAway, ok := f.(*h2.GoAwayFrame)
	if !ok || goAway.LastStreamID != last || goAway.ErrCode != h2.ErrCodeNo {
		c.Fatalf("got %v, want a GOAWAY whose last stream is %d", f, last)
	}
}

// lastAnswer wants an answer without a body and net/http's own GOAWAY, in whichever order it
// sends them.
func (c *client2) lastAnswer(stream uint32) {
	c.Helper()
	answered, told := 0, 0
	for range 2 {
		switch f := c.read().(type) {
		case *h2.MetaHeadersFrame:
			answered++
			equal(c, "whole answer on stream", f.StreamID == stream && f.StreamEnded(), true)
		case *h2.GoAwayFrame:
			told++
			equal(c, "the last stream", f.LastStreamID, stream)
		default:
			c.Fatalf("got %v, want an answer and a GOAWAY", f)
		}
	}
	equal(c, "answers and GOAWAYs", [2]int{answered, told}, [2]int{1, 1})
}

// obey acknowledges the PING.
func (c *client2) obey() {
	c.Helper()
	must(c, c.framer.WritePing(true, pingData))
}

// answer wants the whole answer on a stream. Nothing else may come before its end.
func (c *client2) answer(stream uint32) (body string) {
	c.Helper()
	for {
		switch f := c.read().(type) {
		case *h2.MetaHeadersFrame:
			equal(c, "stream", f.StreamID, stream)
			equal(c, "status", f.PseudoValue("status"), "200")
			if f.StreamEnded() {
				return body
			}
		case *h2.DataFrame:
			equal(c, "stream", f.StreamID, stream)
			if body += string(f.Data()); f.StreamEnded() {
				return body
			}
		default:
			c.Fatalf("got %v, want an answer on stream %d", f, stream)
		}
	}
}

// atEnd wants the end, in good order.
func (c *client2) atEnd() {
	c.Helper()
	for {
		f, err := c.framer.ReadFrame()
		if errors.Is(err, io.EOF) {
			return
		}
		must(c, err)
		if _, ok := f.(*h2.WindowUpdateFrame); !ok {
			c.Fatalf("got %v, want the end", f)
		}
	}
}

// close ends the client's side, as one does that has seen the end of ours.
func (c *client2) close() { c.Helper(); c.conn.Close() }

// lingers says when Linger has returned.
func (s *service) lingers(tb testing.TB, timeout time.Duration) (over chan error) {
	over = make(chan error, 1)
	go func() { over <- s.Linger(tb.Context(), timeout) }()
	return over
}
