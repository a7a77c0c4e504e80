// Broken on purpose, and seen red:
//
//   - no `Connection: close`: TestARequestAfterRetireIsAnsweredAndItsConnectionCloses
//   - `Connection: close` also where it asks for Upgrade:
//     TestARequestForAnUpgradeIsNotAskedToClose
//   - Resume leaves the stamp: TestResumeTakesRetireBack
//   - Linger returns at once; Linger does not wait for what is active:
//     TestTheRequestAfterAResponseThatBeganBeforeRetireIsAnswered
//   - Linger returns at once; the hook does not say idle:
//     TestTheClockEndsAConnectionThatOnlyAsksForOptions
//   - no `Connection: close`:
//     TestAPipelinedRequestIsAnsweredWhenTheOneBeforeDidNotClose
//   - midway is not set; Close while retiring closes the socket at once:
//     TestAPipelinedRequestBehindConnectionCloseIsNotProcessed
//   - Linger returns at once: TestARequestOnAYoungConnectionIsAnswered
//   - Close does not count what Shutdown throws away:
//     TestARequestThatShutdownThrowsAwayIsLate
//   - begin always says true; begin does not count; the handler does not call begin:
//     TestAHandlerDoesNotRunWhenOurSideHasEnded
//   - enter does not count what was read too late:
//     TestARequestThatWasReadWhenOurSideHadEndedIsLate
//   - the handler calls begin on HTTP/2, too:
//     TestAnHTTP2HandlerDoesNotChangeTheStateOfItsConnection

package drain

import (
	"context"
	"net/http"
	"testing"
	"time"
)

func TestARequestAfterRetireIsAnsweredAndItsConnectionCloses(t *testing.T) {
	for name, request := range map[string]string{"HTTP/1.1": get, "POST": post, "HTTP/1.0 with keep-alive": get10} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(hello))
			c := dial(t, s.addr)
			c.send(request)
			if resp, _ := c.answer(); resp.Close {
				t.Fatal("asked to close before Retire")
			}
			s.Retire()
			c.send(request)
			resp, body := c.answer()
			equal(t, "body", body, "hello")
			equal(t, "asked to close", resp.Close, true)
			c.atEnd()
			c.Close()
			s.flushed(t)
			equal(t, "requests", s.Requests(), 2)
			equal(t, "late", s.Late(), 0)
		})
	}
}

func TestARequestForAnUpgradeIsNotAskedToClose(t *testing.T) {
	s := serve(t, http.HandlerFunc(hello))
	c := dial(t, s.addr)
	s.Retire()
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if resp, _ := c.answer(); resp.Close {
		t.Error("asked to close")
	}
	c.open()
}

func TestResumeTakesRetireBack(t *testing.T) {
	s := serve(t, http.HandlerFunc(hello))
	c := dial(t, s.addr)
	c.ask()
	s.Retire()
	s.Resume()
	if c.ask() {
		t.Error("asked to close after Resume")
	}
	s.await(t, http.StateIdle)
	// A connection closes at once again: nothing flushes behind it.
	c2 := dial(t, s.addr)
	c2.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	c2.answer()
	c2.atEnd()
	eventually(t, "one connection is left", func() bool { return s.Count() == Count{Idle: 1} })

	s.Retire()
	if !c.ask() {
		t.Error("not asked to close after the second Retire")
	}
}

// The header of a response that began before Retire cannot ask for anything, so its
// client sends the next request at once. Nothing but the clock may end the
// connection; Shutdown would lose that request 200 times of 200.
func TestTheRequestAfterAResponseThatBeganBeforeRetireIsAnswered(t *testing.T) {
	h := hold()
	s := serve(t, paths(map[string]http.HandlerFunc{
		"POST /": hello,
		"GET /": func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			h.ServeHTTP(w, nil)
		},
	}))
	c := dial(t, s.addr)
	c.send(get)
	<-h.begun
	s.Retire()
	left := s.leave(t, patient)
	h.release <- struct{}{}
	resp, body := c.answer()
	equal(t, "first body", body, "held")
	equal(t, "first asks to close", resp.Close, false)
	c.send(post)
	resp, body = c.answer()
	equal(t, "second body", body, "hello")
	equal(t, "second asks to close", resp.Close, true)
	c.atEnd()
	must(t, <-left)
	equal(t, "late", s.Late(), 0)
}

// net/http answers OPTIONS * itself: our handler never sees it.
func TestTheClockEndsAConnectionThatOnlyAsksForOptions(t *testing.T) {
	const options = "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"
	s := serve(t, http.HandlerFunc(hello))
	s.Retire()
	c := dial(t, s.addr)
	for range 2 {
		c.send(options)
		if resp, _ := c.answer(); resp.Close {
			t.Error("asked to close: then this test is not needed")
		}
	}
	s.await(t, http.StateIdle)
	s.lingerNow(t)
	c.atEnd()
	equal(t, "late", s.Late(), 0)
}

// Pipelined requests behind one that is answered before Retire are answered.
func TestAPipelinedRequestIsAnsweredWhenTheOneBeforeDidNotClose(t *testing.T) {
	h := hold()
	s := serve(t, h)
	c := dial(t, s.addr)
	c.send(get + get)
	<-h.begun
	s.Retire()
	h.release <- struct{}{}
	if resp, _ := c.answer(); resp.Close {
		t.Error("the first was asked to close, though it began before Retire")
	}
	<-h.begun
	h.release <- struct{}{}
	if resp, _ := c.answer(); !resp.Close {
		t.Error("the second was not asked to close")
	}
	c.atEnd()
	equal(t, "requests", s.Requests(), 2)
	equal(t, "late", s.Late(), 0)
}

// A pipelined request behind one that was answered with `Connection: close` is not
// answered, and not counted: RFC 9112 9.6 has the server ignore it, so that the
// client knows that it was not processed and may send it again. What matters is
// that its handler does not run.
func TestAPipelinedRequestBehindConnectionCloseIsNotProcessed(t *testing.T) {
	for name, send := range map[string]func(*client, held){
		"in one segment": func(c *client, h held) { c.send(get + get); <-h.begun },
		"in two":         func(c *client, h held) { c.send(get); <-h.begun; c.send(get) },
	} {
		t.Run(name, func(t *testing.T) {
			h := hold()
			s := serve(t, h)
			s.Retire()
			c := dial(t, s.addr)
			send(c, h)
			close(h.release)
			resp, body := c.answer()
			equal(t, "body", body, "held")
			equal(t, "asked to close", resp.Close, true)
			c.atEnd() // and not a reset, though bytes were unread
			c.Close()
			s.flushed(t)
			equal(t, "requests", s.Requests(), 1)
			equal(t, "late", s.Late(), 0)
		})
	}
}

// golang/go#75591: Shutdown throws away the first request of a connection that was
// accepted before it. Shutdown comes after Linger, so there is none.
func TestARequestOnAYoungConnectionIsAnswered(t *testing.T) {
	s := serve(t, http.HandlerFunc(hello))
	c := dial(t, s.addr)
	s.await(t, http.StateNew)
	s.Retire()
	left := s.leave(t, patient)
	c.send(get)
	_, body := c.answer()
	equal(t, "body", body, "hello")
	c.atEnd()
	must(t, <-left)
	equal(t, "late", s.Late(), 0)
}

// Where the deadline ends Linger too early, Shutdown does throw it away; then it is
// counted, once.
func TestARequestThatShutdownThrowsAwayIsLate(t *testing.T) {
	var ran bool
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran = true }))
	c := dial(t, s.addr)
	s.await(t, http.StateNew)
	s.Retire()
	over, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Linger(over, time.Hour); err != context.Canceled {
		t.Fatalf("Linger: %v", err)
	}
	began := make(chan struct{})
	s.srv.RegisterOnShutdown(func() { close(began) })
	ended := make(chan error)
	go func() { ended <- s.srv.Shutdown(t.Context()) }()
	<-began
	c.send(get)
	c.atEnd()
	must(t, <-ended)
	c.send(get) // and what follows is not counted again
	c.Close()
	s.flushed(t)
	equal(t, "handler ran", ran, false)
	equal(t, "late", s.Late(), 1)
}

// Closing what is idle may cross a request that the server has read but not begun to
// answer. It must not be processed: nobody would get the answer.
func TestAHandlerDoesNotRunWhenOurSideHasEnded(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"by Linger":   func(c *Conn) { c.halfClose(c.word.Load()) },
		"by Shutdown": func(c *Conn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			cs := New()
			tcp, _ := tcpPair(t)
			c := cs.add(tcp, false)
			cs.Retire()
			end(c)
			h := cs.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }))
			defer func() {
				equal(t, "panic", recover(), any(http.ErrAbortHandler))
				equal(t, "late", cs.Late(), 1)
				equal(t, "requests", cs.Requests(), 0)
			}()
			h.ServeHTTP(nil, requestOn(t, c))
		})
	}
}

// What net/http has read too late, and says so, it may throw away without a word to
// the handler.
func TestARequestThatWasReadWhenOurSideHadEndedIsLate(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"by Linger":   func(c *Conn) { c.halfClose(c.word.Load()) },
		"by Shutdown": func(c *Conn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			cs := New()
			tcp, _ := tcpPair(t)
			c := cs.add(tcp, false)
			cs.Retire()
			end(c)
			c.enter(http.StateActive)
			equal(t, "late", cs.Late(), 1)
		})
	}
}

// requestOn is what net/http would give to the handler.
func requestOn(tb testing.TB, c *Conn) *http.Request {
	tb.Helper()
	ctx := context.WithValue(tb.Context(), connKey{}, c)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	must(tb, err)
	return r
}

// On HTTP/2 a handler may begin when the client has already cancelled its stream,
// and net/http said that the connection is idle: it must not become busy for ever.
func TestAnHTTP2HandlerDoesNotChangeTheStateOfItsConnection(t *testing.T) {
	cs := New()
	tcp, _ := tcpPair(t)
	c := cs.add(tcp, false)
	c.enter(http.StateActive)
	c.enter(http.StateIdle)
	h := cs.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		equal(t, "state", c.state(), idle)
	}))
	r := requestOn(t, c)
	r.ProtoMajor, r.ProtoMinor = 2, 0
	h.ServeHTTP(nil, r)
	equal(t, "requests", cs.Requests(), 1)
}
