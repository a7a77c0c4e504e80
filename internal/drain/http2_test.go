// Broken on purpose, and seen red:
//
//   - no first GOAWAY; the second without an acknowledgement, at once behind it, or with
//     streams open; no second one; moving is not live; moved is:
//     TestAnHTTP2ConnectionEndsInTwoSteps
//   - Retire tells nobody; an acknowledgement ends nothing; no FIN:
//     TestAnIdleHTTP2ConnectionEndsAsSoonAsItsClientKnows
//   - told at once; not told behind the first stream:
//     TestAYoungHTTP2ConnectionIsToldBehindItsFirstStream
//   - no patience with an acknowledgement: TestWithoutATimeoutAnHTTP2ClientIsWaitedFor
//   - told does not restart the clock: TestAnIdleHTTP2ConnectionEndsAsSoonAsItsClientKnows
//   - waitNoMore does nothing; streams is not live; no bound when our side has ended:
//     TestAnHTTP2ConnectionThatIsNeverUsedEndsWithTheClock
//   - a GOAWAY of ours behind net/http's: TestStreamsBehindTheGOAWAYOfShutdownAreLate
//   - nothing is said between net/http's frames:
//     TestAHandshakeThatEndsAfterShutdownIsToldAndEnds
//   - a GOAWAY of ours behind net/http's own: TestNoGOAWAYTakesBackWhatNetHTTPHasSaid
//   - an answer ends its stream: TestAnAnswerThatDoesNotNeedTheBodyArrivesWhole
//   - the beginning tells at once: TestAnHTTP2ConnectionGoesOnAfterResume
//   - net/http is told that the preface was read when it was not:
//     TestAnHTTP2ClientMayBeginLate
//   - it is HTTP/2 before its preface: TestAnHTTP2ClientThatDoesNotBeginEndsWithTheClock

package drain

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
)

// echo answers with the body, and hold with a word when the test says so.
func echoAndHold(h held) http.Handler {
	return paths(map[string]http.HandlerFunc{
		"/":     func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) },
		"/hold": h.ServeHTTP,
	})
}

func TestAnHTTP2ConnectionEndsInTwoSteps(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		h := hold()
		s := serve(echoAndHold(h))
		s.patience = patience
		c := dial2(t, s)
		c.get(1, "/hold")
		<-h.begun
		s.Retire()
		over := s.lingers(t, patient)
		c.told()
		c.open(3, "POST", "/", false) // crosses the GOAWAY, as far as we know
		must(t, c.framer.WriteData(3, true, []byte("crossing")))
		equal(t, "what crosses is answered", c.answer(3), "crossing")
		c.obey()
		c.get(5, "/") // and so does this, as Go's own client has it
		equal(t, "what straggles is answered", c.answer(5), "")
		equal(t, "count", s.Count(), Count{Active: 1})
		equal(t, "Linger has returned", len(over), 0)
		must(t, <-over) // though a stream is open
		h.release <- struct{}{}
		equal(t, "what was in flight is answered", c.answer(1), "held")
		c.goAway(5)
		c.atEnd()
		c.close()
		s.flushed(t)
		equal(t, "requests", s.Requests(), 3)
		equal(t, "late", s.Late(), 0)
	})
}

func TestAnIdleHTTP2ConnectionEndsAsSoonAsItsClientKnows(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		s := serve(http.HandlerFunc(hello))
		c := dial2(t, s)
		c.get(1, "/")
		c.answer(1)
		s.Retire()
		over := s.lingers(t, patient)
		c.told()
		eventually(t, "its clock runs from now on", func() bool {
			_, since := split(only(t, s.Conns).word.Load())
			return since > s.retired.Load()
		})
		c.obey()
		c.goAway(1)
		c.atEnd()
		equal(t, "state", only(t, s.Conns).state(), halfClosed) // it hears us out
		c.close()
		must(t, <-over)
		s.flushed(t)
		equal(t, "late", s.Late(), 0)
	})
}

// Who connects is about to ask. Go's own client fails a request whose new connection is
// told to leave and ends before it was used.
func TestAYoungHTTP2ConnectionIsToldBehindItsFirstStream(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		h := hold()
		s := serve(echoAndHold(h))
		before := dial2(t, s)
		s.Retire()
		after := dial2(t, s)
		for _, c := range []*client2{before, after} {
			must(t, c.framer.WritePing(false, [8]byte{1}))
			if f, ok := c.read().(*h2.PingFrame); !ok || !f.IsAck() {
				t.Fatalf("got %v before there was a stream", f)
			}
			c.get(1, "/hold")
			<-h.begun
			c.told()
			h.release <- struct{}{}
			c.answer(1)
			c.obey()
			c.goAway(1)
			c.atEnd()
			c.close()
		}
		s.lingerNow(t)
		s.flushed(t)
		equal(t, "requests", s.Requests(), 2)
		equal(t, "late", s.Late(), 0)
	})
}

func TestAnHTTP2ConnectionThatIsNeverUsedEndsWithTheClock(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		s := serve(http.HandlerFunc(hello))
		c := dial2(t, s)
		s.Retire()
		s.lingerNow(t)
		c.told()
		c.goAway(0)
		c.atEnd()
		c.close()
		s.flushed(t)
		equal(t, "late", s.Late(), 0)
	})
}

// Where packets are lost, the preface comes after the handshake: net/http waits 10s for
// it, and 2s for what follows.
func TestAnHTTP2ClientMayBeginLate(t *testing.T) {
	t.Parallel()
	s := serveH2(t, http.HandlerFunc(hello))
	c := connect2(t, s)
	must(t, c.conn.(*tls.Conn).Handshake())
	<-time.After(2500 * time.Millisecond)
	c.greet()
	c.get(1, "/")
	equal(t, "the answer", c.answer(1), "hello")
}

// One that never begins does not hold up a retirement.
func TestAnHTTP2ClientThatDoesNotBeginEndsWithTheClock(t *testing.T) {
	s := serveH2(t, http.HandlerFunc(hello))
	c := connect2(t, s)
	must(t, c.conn.(*tls.Conn).Handshake())
	s.Retire()
	s.lingerNow(t)
	must(t, c.tcp.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err := io.Copy(io.Discard, c.tcp) // to the end of the server's side
	must(t, err)
	c.close()
	s.flushed(t)
	equal(t, "late", s.Late(), 0)
}

// Without a successor nothing lingers; but a client has the time to acknowledge.
func TestWithoutATimeoutAnHTTP2ClientIsWaitedFor(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		s := serve(http.HandlerFunc(hello))
		s.patience = patience
		c := dial2(t, s)
		c.get(1, "/")
		c.answer(1)
		s.Retire()
		over := s.lingers(t, 0)
		c.told()
		time.Sleep(10 * minTick)
		c.get(3, "/")
		equal(t, "what crosses is answered", c.answer(3), "hello")
		c.obey()
		c.goAway(3)
		c.atEnd()
		c.close()
		must(t, <-over)
		s.flushed(t)
		equal(t, "late", s.Late(), 0)
	})
}

// net/http has its own reasons for a GOAWAY: a handler that wants no more on this
// connection. No other may name more streams than that; RFC 9113 6.8.
func TestNoGOAWAYTakesBackWhatNetHTTPHasSaid(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		h := hold()
		s := serve(paths(map[string]http.HandlerFunc{
			"/hold":  h.ServeHTTP,
			"/close": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		}))
		c := dial2(t, s)
		c.get(1, "/hold")
		<-h.begun
		c.get(3, "/close")
		c.lastAnswer(3)
		s.Retire()
		if f, ok := c.read().(*h2.PingFrame); !ok || f.Data != pingData {
			t.Fatalf("got %v, want our PING and no GOAWAY", f)
		}
		c.obey()
		h.release <- struct{}{}
		equal(t, "what was open is answered", c.answer(1), "held")
		c.atEnd()
		c.close()
		s.lingerNow(t)
		s.flushed(t)
		equal(t, "late", s.Late(), 0)
	})
}

// The same where it is net/http that has said the second GOAWAY, because streams were
// open at the end of Linger.
func TestStreamsBehindTheGOAWAYOfShutdownAreLate(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		h := hold()
		s := serve(echoAndHold(h))
		c := dial2(t, s)
		c.get(1, "/hold")
		<-h.begun
		s.Retire()
		c.told()
		left := s.leave(t, 0)
		c.goAway(1)
		c.get(3, "/")
		h.release <- struct{}{}
		equal(t, "what was open is answered", c.answer(1), "held")
		c.atEnd() // and no third GOAWAY
		c.close()
		must(t, <-left)
		s.flushed(t)
		equal(t, "requests", s.Requests(), 1)
		equal(t, "late", s.Late(), 1)
	})
}

// golang/go#81153: Shutdown does not tell a connection that becomes HTTP/2 after it.
func TestAHandshakeThatEndsAfterShutdownIsToldAndEnds(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		h := hold()
		s := serve(h)
		c := connect2(t, s)
		s.await(t, http.StateNew)
		s.Retire()
		began := make(chan struct{})
		s.srv.RegisterOnShutdown(func() { close(began) })
		over := make(chan error, 1)
		go func() { over <- s.srv.Shutdown(t.Context()) }()
		<-began
		c.greet()
		c.get(1, "/")
		<-h.begun
		c.told()
		h.release <- struct{}{}
		equal(t, "answer", c.answer(1), "held")
		c.obey()
		c.goAway(1)
		c.atEnd()
		c.close()
		must(t, <-over)
		s.flushed(t)
	})
}

// The answer ends before the body: net/http says with RST_STREAM that it needs no more
// of it, and only then is the stream over.
func TestAnAnswerThatDoesNotNeedTheBodyArrivesWhole(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		h := hold()
		s := serve(h)
		c := dial2(t, s)
		c.open(1, "POST", "/", false)
		<-h.begun
		s.Retire()
		c.told()
		c.obey()
		s.lingerNow(t)
		h.release <- struct{}{}
		equal(t, "answer", c.answer(1), "held")
		if f, ok := c.read().(*h2.RSTStreamFrame); !ok || f.ErrCode != h2.ErrCodeNo {
			t.Fatalf("got %v, want a RST_STREAM without an error", f)
		}
		c.goAway(1)
		c.atEnd()
		c.close()
		s.flushed(t)
		equal(t, "requests", s.Requests(), 1)
	})
}

func TestAnHTTP2ConnectionGoesOnAfterResume(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		s := serve(http.HandlerFunc(hello))
		told, fresh := dial2(t, s), dial2(t, s)
		told.get(1, "/")
		told.answer(1)
		s.Retire()
		told.told()
		s.Resume()
		fresh.get(1, "/")
		fresh.answer(1) // and no GOAWAY
		told.get(3, "/")
		told.answer(3)
		s.Retire()
		fresh.told()
		for _, c := range []*client2{fresh, told} {
			c.obey()
		}
		fresh.goAway(1)
		told.goAway(3)
		for _, c := range []*client2{fresh, told} {
			c.atEnd()
			c.close()
		}
		s.lingerNow(t)
		s.flushed(t)
		equal(t, "requests", s.Requests(), 3)
		equal(t, "late", s.Late(), 0)
	})
}
