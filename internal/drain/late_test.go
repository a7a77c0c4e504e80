// Broken on purpose, and seen red:
//
//   - late is counted for each read, or never; flush does not count; halfClose does not
//     wake the reader: TestARequestThatCrossesTheCloseIsLateOnceForEachConnection
//   - halfClose does not wake the reader:
//     TestAConnectionThatIsClosedWithoutACrossingIsNotLate
//   - heard does not count: TestBytesThatTheServerReadsTooLateAreCounted
//   - Close asks whether Linger has returned when the connection has moved on:
//     TestWhatTheServerEndsBeforeShutdownIsNotLate
//   - noteLate counts on closed connections: TestWhatWasCutIsNotLateToo
//   - midway is not set: TestTheRestOfARequestIsNotLate
//   - halfClose does not count a part of a header; it does on new connections, too:
//     TestARequestThatStopsInItsHeaderIsLate
//   - farewell is not asked; it takes every TLS 1.3 record for one; it knows only TLS
//     1.2: TestAFarewellInTLSIsNotLate

package drain

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// crossed is a connection that has answered one request, that Linger has closed, and
// whose client knows: its kernel has our FIN.
func crossed(t *testing.T) (*service, *client) {
	t.Helper()
	s := serve(t, http.HandlerFunc(hello))
	c := dial(t, s.addr)
	c.ask()
	s.await(t, http.StateIdle)
	s.Retire()
	s.lingerNow(t)
	c.atEnd()
	return s, c
}

func TestARequestThatCrossesTheCloseIsLateOnceForEachConnection(t *testing.T) {
	s, c := crossed(t)
	c.send(get)
	eventually(t, "the request was counted", func() bool { return s.Late() > 0 })
	c.send(post)
	c.Close()
	s.flushed(t)
	equal(t, "late", s.Late(), 1)
	equal(t, "requests", s.Requests(), 1) // of before
}

func TestAConnectionThatIsClosedWithoutACrossingIsNotLate(t *testing.T) {
	s, c := crossed(t)
	c.Close()
	s.flushed(t)
	equal(t, "late", s.Late(), 0)
}

// The server may be the one that reads the bytes, before flush does.
func TestBytesThatTheServerReadsTooLateAreCounted(t *testing.T) {
	cs := New()
	cs.Retire()
	tcp, peer := tcpPair(t)
	c := cs.add(tcp, false)
	c.halfClose(c.word.Load())
	equal(t, "in time", c.heard([]byte(get)), false) // as at the end of a Read that had begun
	equal(t, "late", cs.Late(), 1)

	peer.send(get) // and the next is for flush
	must(t, peer.Close())
	if _, err := c.Read(make([]byte, 100)); err != io.EOF {
		t.Errorf("the server reads: %v, want the end", err)
	}
	c.Close()
	eventually(t, "it has gone", func() bool { return cs.Count() == Count{} })
	equal(t, "late", cs.Late(), 1)
}

// A server that ends a connection itself while we linger, as ReadHeaderTimeout does, loses
// nothing by the retirement, also where this connection is the last that Linger waits for.
func TestWhatTheServerEndsBeforeShutdownIsNotLate(t *testing.T) {
	for range 1000 {
		cs := New()
		cs.Retire()
		tcp, peer := tcpPair(t)
		c := cs.add(tcp, false)
		c.kept.Store(true)
		c.heard([]byte(get[:10]))
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			for cs.live.Load() > 0 { // Linger sleeps meanwhile: it would hardly ever be fast enough
			}
			cs.lingered.Store(true)
		}()
		must(t, c.Close())
		<-returned
		must(t, peer.Close())
		equal(t, "late", cs.Late(), 0)
	}
}

// What was cut is in the sum of Cut, and not a second time in that of Late.
func TestWhatWasCutIsNotLateToo(t *testing.T) {
	cs := New()
	cs.Retire()
	tcp, _ := tcpPair(t)
	c := cs.add(tcp, false)
	c.heard([]byte(get[:10]))
	busy, _ := cs.Cut()
	equal(t, "busy", busy, 1)
	c.heard([]byte(get[10:]))
	c.enter(http.StateActive)
	equal(t, "begun", c.begin(), false)
	equal(t, "late", cs.Late(), 0)
}

// A handler that does not want the body makes the server close in the middle of it.
// What is left of the body is not another request.
func TestTheRestOfARequestIsNotLate(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	s.Retire()
	c := dial(t, s.addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nsome")
	c.atEnd()
	c.send("more")
	c.Close()
	s.flushed(t)
	equal(t, "late", s.Late(), 0)
}

// The clock closes what has sent a part of a header and no more: a request that gets no
// answer. A TLS client that has only shaken hands has asked for nothing.
func TestARequestThatStopsInItsHeaderIsLate(t *testing.T) {
	for name, tc := range map[string]struct {
		kept bool
		part string
		late int
	}{
		"nothing, new":    {false, "", 0},
		"nothing, kept":   {true, "", 0},
		"some bytes, new": {false, get[:10], 1},
		"some, kept":      {true, get[:10], 1},
		"one, new":        {false, get[:1], 1},
		"one, kept":       {true, get[:1], 1},
	} {
		for tongue, start := range map[string]func(*testing.T) (*service, *client, io.Writer){
			"in clear": func(t *testing.T) (*service, *client, io.Writer) {
				s := serve(t, http.HandlerFunc(hello))
				c := dial(t, s.addr)
				return s, c, c.TCPConn
			},
			"in TLS": func(t *testing.T) (*service, *client, io.Writer) {
				s := serveTLS(t, http.HandlerFunc(hello))
				c := dial(t, s.addr)
				secret := tls.Client(c.TCPConn, &tls.Config{InsecureSkipVerify: true})
				must(t, secret.Handshake())
				c.r.Reset(secret)
				return s, c, secret
			},
		} {
			t.Run(name+" "+tongue, func(t *testing.T) {
				t.Parallel()
				s, c, w := start(t)
				if tc.kept {
					io.WriteString(w, get)
					c.answer()
					s.await(t, http.StateIdle)
				} else {
					s.await(t, http.StateNew)
				}
				io.WriteString(w, tc.part)
				if tc.part != "" || tongue == "in TLS" && !tc.kept {
					eventually(t, "the server has read", func() bool { return s.in(reading) == 1 })
				}
				s.Retire()
				s.lingerNow(t)
				c.atEnd()
				c.Close()
				s.flushed(t)
				equal(t, "late", s.Late(), tc.late)
			})
		}
	}
}

// A TLS client answers our end with an alert. That is no request.
func TestAFarewellInTLSIsNotLate(t *testing.T) {
	for name, tc := range map[string]struct {
		version uint16
		request string
		late    int
	}{
		"TLS 1.2":                  {tls.VersionTLS12, "", 0},
		"TLS 1.3":                  {tls.VersionTLS13, "", 0},
		"TLS 1.2 with a request":   {tls.VersionTLS12, get, 1},
		"TLS 1.3 with a request":   {tls.VersionTLS13, get, 1},
		"TLS 1.3 with the least":   {tls.VersionTLS13, "GET /\r\n\r\n", 1},
		"TLS 1.2 with the least":   {tls.VersionTLS12, "GET /\r\n\r\n", 1},
		"TLS 1.3 with a new start": {tls.VersionTLS13, "\r\n" + get, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveTLS(t, http.HandlerFunc(hello))
			raw := dial(t, s.addr)
			c := tls.Client(raw.TCPConn, &tls.Config{InsecureSkipVerify: true, MinVersion: tc.version, MaxVersion: tc.version})
			io.WriteString(c, get)
			raw.r.Reset(c)
			raw.answer()
			s.await(t, http.StateIdle)
			s.Retire()
			s.lingerNow(t)
			raw.atEnd()
			if tc.request != "" {
				_, err := io.WriteString(c, tc.request)
				must(t, err)
			}
			must(t, c.Close())
			s.flushed(t)
			equal(t, "late", s.Late(), tc.late)
		})
	}
}

// serveTLS is serve, with a certificate of httptest.
func serveTLS(tb testing.TB, h http.Handler, prepare ...func(*http.Server)) *service {
	tb.Helper()
	return serve(tb, h, append([]func(*http.Server){withTLS}, prepare...)...)
}

func withTLS(srv *http.Server) {
	other := httptest.NewUnstartedServer(nil)
	other.StartTLS()
	defer other.Close()
	srv.TLSConfig = &tls.Config{Certificates: other.TLS.Certificates}
}
