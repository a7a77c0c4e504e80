// Clients that do not do what one expects of them.
//
// Broken on purpose, and seen red:
//
//   - late is not counted; Read ends with our side: TestStreamsBehindTheSecondGOAWAYAreLate
//   - Cut does not see streams: TestAnHTTP2ClientThatIgnoresEverythingIsCutAndCounted
//   - nor moving: TestAnHTTP2ClientThatHasJustAcknowledgedIsCutAndCounted
//   - any acknowledgement counts: TestAnAcknowledgementThatNobodyAskedForIsNone
//   - the clock runs while a client downloads: TestAnHTTP2ClientThatDownloadsIsWaitedFor
//   - Retire waits for each: TestAnHTTP2ClientThatDoesNotReadHoldsUpNobody

package drain

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Who acknowledges what was not said gets nothing by it, and costs nothing.
func TestAnAcknowledgementThatNobodyAskedForIsNone(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		s := serve(http.HandlerFunc(hello))
		s.patience = patience
		c := dial2(t, s)
		for range 1000 {
			c.obey()
		}
		c.get(1, "/")
		c.answer(1)
		equal(t, "state", only(t, s.Conns).state(), streams)
		s.Retire()
		c.told()
		c.get(3, "/")
		equal(t, "what crosses is answered", c.answer(3), "hello")
		for range 1000 {
			c.obey()
		}
		c.goAway(3)
		c.atEnd()
		c.close()
		s.flushed(t)
		equal(t, "late", s.Late(), 0)
	})
}

// Our GOAWAY stands behind what is on its way to the client.
func TestAnHTTP2ClientThatDownloadsIsWaitedFor(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		much := strings.Repeat("much", 1<<18)
		s := serve(paths(map[string]http.HandlerFunc{
			"/":     hello,
			"/much": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, much) },
		}))
		c := dial2(t, s)
		must(t, c.tcp.SetReadBuffer(64<<10))
		must(t, c.framer.WriteWindowUpdate(0, 1<<30))
		c.get(1, "/much")
		must(t, c.framer.WriteWindowUpdate(1, 1<<30))
		eventually(t, "the server has said it all", func() bool { return s.Requests() == 1 })
		s.Retire()
		over := s.lingers(t, brief)
		time.Sleep(5 * brief)
		c.get(3, "/")
		equal(t, "what was on its way", c.answer(1) == much, true)
		c.told()
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

// A client that does not acknowledge, and one that goes on as if it had not been told,
// get the second GOAWAY when their time is over. Each stream behind that is late.
func TestStreamsBehindTheSecondGOAWAYAreLate(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		s := serve(http.HandlerFunc(hello))
		c := dial2(t, s)
		c.get(1, "/")
		c.answer(1)
		s.Retire()
		c.told()
		c.get(3, "/")
		equal(t, "it is not obeyed, and answered", c.answer(3), "hello")
		over := s.lingers(t, 0)
		c.goAway(3)
		for i, stream := range []uint32{5, 7} {
			c.get(stream, "/")
			eventually(t, "it was counted", func() bool { return s.Late() == i+1 })
		}
		must(t, c.framer.WritePing(false, [8]byte{1})) // which is no request
		c.atEnd()
		c.close()
		must(t, <-over)
		s.flushed(t)
		equal(t, "requests", s.Requests(), 2)
		equal(t, "late", s.Late(), 2)
	})
}

func TestAnHTTP2ClientThatIgnoresEverythingIsCutAndCounted(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		h := hold()
		s := serve(echoAndHold(h))
		c := dial2(t, s)
		c.get(1, "/hold")
		<-h.begun
		s.Retire()
		s.lingerNow(t)
		busy, _ := s.Cut()
		equal(t, "busy", busy, 1)
		h.release <- struct{}{}
	})
}

func TestAnHTTP2ClientThatHasJustAcknowledgedIsCutAndCounted(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		h := hold()
		s := serve(echoAndHold(h))
		s.patience = patient
		c := dial2(t, s)
		c.get(1, "/hold")
		<-h.begun
		s.Retire()
		c.told()
		c.obey()
		eventually(t, "it was heard", func() bool { return s.in(moving) == 1 })
		busy, _ := s.Cut()
		equal(t, "busy", busy, 1)
		h.release <- struct{}{}
	})
}

// A response whose client does not read fills the connection, and with it every writer.
func TestAnHTTP2ClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		stuck := make(chan struct{})
		s := serve(paths(map[string]http.HandlerFunc{
			"/": hello,
			"/much": func(w http.ResponseWriter, _ *http.Request) {
				for chunk := make([]byte, 1<<20); ; stuck <- struct{}{} {
					if _, err := w.Write(chunk); err != nil {
						close(stuck)
						return
					}
				}
			},
		}))
		deaf, good := dial2(t, s), dial2(t, s)
		must(t, deaf.framer.WriteWindowUpdate(0, 1<<30))
		deaf.get(1, "/much")
		must(t, deaf.framer.WriteWindowUpdate(1, 1<<30))
		for reading := true; reading; {
			select {
			case <-stuck:
			case <-time.After(100 * time.Millisecond):
				reading = false
			}
		}
		good.get(1, "/")
		good.answer(1)
		s.Retire()
		good.told()
		good.obey()
		good.goAway(1)
		good.atEnd()
		good.close()
		ctx, stop := context.WithTimeout(t.Context(), 2*brief)
		defer stop()
		if err := s.Linger(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Linger did not wait for what it still downloads: %v", err)
		}
		busy, _ := s.Cut()
		equal(t, "busy", busy, 1)
		<-stuck
	})
}
