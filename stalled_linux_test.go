package overlap

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"time"
)

// Clients that do not get on with it: the exit must not wait for them for longer than
// DrainTimeout, and what they lose by it is counted.
//
// Broken on purpose, and seen red:
//
//   - Shutdown's end of a header is not counted: TestAHeaderThatNeverEndsDoesNotHoldTheExit
//   - the clock's is not: TestARequestThatStopsInItsHeaderIsLate
//   - Cut counts nothing, or no bytes: TestAClientThatStopsReadingIsCut

// A header that comes byte by byte, fast enough to be waited for. One that is ended by
// the server's own ReadHeaderTimeout is not ended by the retirement.
func TestAHeaderThatNeverEndsDoesNotHoldTheExit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		readHeader time.Duration
		kept       bool // the connection has had a request before
		after      bool // it begins when the instance lingers
		want       Verdict
	}{
		"begun before":                     {want: Verdict{Cut: 1}},
		"begun after":                      {want: Verdict{Cut: 1}, after: true},
		"the second request, before":       {want: Verdict{Late: 1}, kept: true},
		"the second request, after":        {want: Verdict{Late: 1}, kept: true, after: true},
		"with a ReadHeaderTimeout, before": {want: Verdict{Lossless: true}, readHeader: slow / 2},
		"with a ReadHeaderTimeout, after":  {want: Verdict{Lossless: true}, readHeader: slow / 2, kept: true, after: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v1 := start(t, "serve", config{Release: "v1", ReadHeader: tc.readHeader, Drain: 2 * slow, Finish: slow, Linger: slow / 4})
			c := talk(t, v1)
			if tc.kept {
				c.write(post("/", 2), "hi")
				c.wants(http.StatusOK, "hi")
			}
			if !tc.after {
				go c.dribble()
			}
			began := time.Now()
			v1.handOver(PhaseLinger)
			if tc.after {
				go c.dribble()
			}
			v1.ends(tc.want, began.Add(2*slow))
		})
	}
}

// dribble sends a header without an end, until nobody takes it any more.
func (c *talker) dribble() {
	tick := time.NewTicker(slow / 20)
	defer tick.Stop()
	c.Write([]byte("GET / HTTP/1.1\r\nHost: test\r\nEndless: "))
	for range tick.C {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
	}
}

// A header that stops in the middle is a request that gets no answer.
func TestARequestThatStopsInItsHeaderIsLate(t *testing.T) {
	t.Parallel()
	for name, conf := range map[string]struct{ kept, after bool }{
		"a new connection, before":  {},
		"a new connection, after":   {after: true},
		"a kept connection, before": {kept: true},
		"a kept connection, after":  {kept: true, after: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v1 := start(t, "serve", config{Release: "v1", Linger: slow / 4})
			c := talk(t, v1)
			if conf.kept {
				c.write(post("/", 2), "hi")
				c.wants(http.StatusOK, "hi")
			}
			const half = "GET / HTTP/1.1\r\nHo"
			if !conf.after {
				c.write(half)
			}
			began := time.Now()
			v1.handOver(PhaseLinger)
			if conf.after {
				c.write(half)
			}
			c.atEnd()
			c.Close()
			v1.ends(Verdict{Late: 1}, began.Add(2*slow))
		})
	}
}

// A connection on which nothing was asked for is no loss.
func TestAClientThatAsksForNothingDoesNotHoldTheExit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tls  bool
		send int // bytes of a handshake
	}{
		"in clear":                  {},
		"no handshake":              {tls: true},
		"half a ClientHello":        {tls: true, send: 100},
		"a ClientHello and no more": {tls: true, send: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v1 := start(t, "serve", config{Release: "v1", TLS: tc.tls})
			c := talk(t, v1)
			hello := clientHello(t)
			c.write(string(hello[:min(tc.send, len(hello))]))
			if tc.send > len(hello) {
				c.awaitArrived(1)
			}
			start(t, "serve", config{Release: "v2", Addr: v1.addr})
			v1.retire()
			v := v1.verdict()
			if !v.Lossless {
				t.Errorf("nothing was lost: %+v", v)
			}
			if linger := v.Phases[PhaseLinger]; linger > slow {
				t.Errorf("it lingered for %v", linger)
			}
		})
	}
}

// clientHello is what a TLS client says first.
func clientHello(t *testing.T) []byte {
	var said recorder
	tls.Client(&said, &tls.Config{ServerName: "test"}).Handshake()
	if said.Len() < 200 {
		t.Fatalf("the ClientHello has %d bytes", said.Len())
	}
	return said.Bytes()
}

// recorder is a connection that ends when it has been spoken to.
type recorder struct {
	bytes.Buffer
	net.Conn
}

func (r *recorder) Write(p []byte) (int, error) { return r.Buffer.Write(p) }
func (r *recorder) Read([]byte) (int, error)    { return 0, net.ErrClosed }
func (r *recorder) Close() error                { return nil }

func TestAClientThatStopsReadingIsCut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path string
		want Verdict
	}{
		"in the hands of the handler": {"/big", Verdict{Cut: 1}},
		"in the hands of the kernel":  {"/medium", Verdict{Unacknowledged: 1}},
	} {
		for _, when := range []string{"before", "after"} {
			t.Run(name+", begun "+when, func(t *testing.T) {
				t.Parallel()
				v1 := start(t, "serve", config{Release: "v1", Drain: slow, Finish: slow / 4})
				c := talk(t, v1)
				c.tcp().SetReadBuffer(4 << 10)
				if when == "after" {
					c.write(post("/", 2), "hi")
					c.wants(http.StatusOK, "hi")
				}
				if when == "before" {
					c.write(get(tc.path))
					c.awaitArrived(1)
				}
				began := time.Now()
				v1.handOver(PhaseLinger)
				if when == "after" {
					c.write(get(tc.path))
				}
				v1.ends(tc.want, began.Add(slow))
			})
		}
	}
}
