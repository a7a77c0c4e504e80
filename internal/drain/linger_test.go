// Broken on purpose, and seen red:
//
//   - the clock runs from Retire only, or from the last response only; it closes at
//     half time; it closes a tick late; it spares new ones, or half-read headers; Read
//     does not restart it; words have no stamps; no FIN:
//     TestTheClockOfAConnectionRunsFromRetireOrFromItsLastResponse
//   - the clock runs from the last response only; it closes a tick late; it closes at
//     half time: TestTheClockRunsFromRetireAndNotFromLinger
//   - the clock closes what is active, or hijacked:
//     TestAConnectionInUseIsNotClosedByTheClock
//   - halfClose does not ask what has arrived: TestARequestThatHasArrivedIsNotClosedOn
//   - halfClose does not ask what is outstanding:
//     TestAConnectionThatStillDownloadsIsNotClosed (flush_linux_test.go)
//   - halfClose does not compare with the word that was seen:
//     TestAConnectionThatIsUsedMeanwhileIsNotClosed
//   - hijacked is live; a swap does not wake Linger:
//     TestLingerReturnsWhenTheLastConnectionIsGone
//   - halfClosed is not live: TestLingerWaitsUntilTheServerHasLetGo
//   - no patience with a header; the clock closes what is active:
//     TestWithoutATimeoutWhatIsIdleEndsAtOnce
//   - Linger does not look at its context: TestLingerEndsWithItsContext
//   - the clock spares new ones; flush does not read on:
//     TestTheServerLetsGoOfAConnectionThatLingerHasClosed

package drain

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// lingering is a Linger at work in a bubble. Nobody reads from the server's side of
// the connections there but the test, so that time goes on.
type lingering struct {
	*Conns
	stop  context.CancelFunc
	ended chan error
}

func (l *lingering) linger(t *testing.T, timeout time.Duration) {
	ctx, stop := context.WithCancel(t.Context())
	l.stop, l.ended = stop, make(chan error, 1)
	go func() {
		defer close(l.ended)
		l.ended <- l.Linger(ctx, timeout)
	}()
	synctest.Wait()
}

// end returns what Linger returned; it must do so without any more time passing
// than its ticks take.
func (l *lingering) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-l.ended:
		return err
	case <-time.After(minTick):
		t.Fatal("Linger has not returned")
		return nil
	}
}

// after lets time pass, to just before and then to just after.
func (l *lingering) after(d time.Duration, before, then func()) {
	time.Sleep(d - time.Nanosecond)
	synctest.Wait()
	before()
	time.Sleep(time.Nanosecond)
	synctest.Wait()
	then()
}

// over ends a bubble.
func (l *lingering) over() {
	l.Cut()
	l.stop()
	<-l.ended
}

// still returns a check that a connection is in a state.
func still(t *testing.T, c *Conn, want state) func() {
	return func() {
		t.Helper()
		equal(t, "state", c.state(), want)
	}
}

func TestTheClockOfAConnectionRunsFromRetireOrFromItsLastResponse(t *testing.T) {
	const timeout = time.Hour
	for name, tc := range map[string]struct {
		before, during func(*Conn)
	}{
		"new": {},
		"idle before Retire": {before: func(c *Conn) {
			c.enter(http.StateActive)
			c.enter(http.StateIdle)
		}},
		"idle since a response after Retire": {during: func(c *Conn) {
			c.enter(http.StateActive)
			c.enter(http.StateIdle)
		}},
		"a slow header": {during: func(c *Conn) { c.heard([]byte("GET")) }},
		"a slower one":  {before: func(c *Conn) { c.heard([]byte("G")) }, during: func(c *Conn) { c.heard([]byte("ET")) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := lingering{Conns: New()}
				tcp, peer := tcpPair(t)
				c := l.add(tcp, false)
				other, _ := tcpPair(t)
				l.add(other, false) // its clock has Linger look when it is not yet c's time
				if tc.before != nil {
					tc.before(c)
				}
				time.Sleep(10 * timeout) // however old it is
				l.Retire()
				l.linger(t, timeout)
				defer l.over()
				if tc.during != nil {
					l.after(timeout/3, func() {}, func() { tc.during(c) })
				}
				l.after(timeout, still(t, c, c.state()), still(t, c, halfClosed))
				peer.atEnd()
				equal(t, "late", l.Late(), 0)
			})
		})
	}
}

// The phases before it have taken their time, and that counts.
func TestTheClockRunsFromRetireAndNotFromLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lingering{Conns: New()}
		tcp, _ := tcpPair(t)
		c := l.add(tcp, false)
		l.Retire()
		time.Sleep(40 * time.Minute)
		l.linger(t, time.Hour)
		defer l.over()
		l.after(20*time.Minute, still(t, c, fresh), still(t, c, halfClosed))
	})
}

func TestAConnectionInUseIsNotClosedByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lingering{Conns: New()}
		var conns []*Conn
		for _, to := range []state{whole, active, hijacked} {
			tcp, _ := tcpPair(t)
			c := l.add(tcp, false)
			c.move(to)
			conns = append(conns, c)
		}
		l.Retire()
		l.linger(t, time.Second)
		defer l.over()
		time.Sleep(time.Hour)
		synctest.Wait()
		for i, want := range []state{whole, active, hijacked} {
			equal(t, "state", conns[i].state(), want)
		}
	})
}

// The clock of an idle connection has run out, but a request is in the receive
// buffer: the server was too busy to read it. It is answered.
func TestARequestThatHasArrivedIsNotClosedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lingering{Conns: New()}
		tcp, peer := tcpPair(t)
		c := l.add(tcp, false)
		c.enter(http.StateActive)
		c.enter(http.StateIdle)
		peer.send(get)
		l.Retire()
		l.linger(t, time.Hour)
		defer l.over()
		time.Sleep(time.Hour)
		synctest.Wait()
		equal(t, "state when the clock ran out", c.state(), idle)

		buf := make([]byte, len(get))
		_, err := io.ReadFull(c, buf)
		must(t, err)
		equal(t, "state", c.state(), reading)
		l.after(time.Hour, still(t, c, reading), still(t, c, halfClosed))
		peer.atEnd()
	})
}

// What happens between the look at a connection and its end keeps it open.
func TestAConnectionThatIsUsedMeanwhileIsNotClosed(t *testing.T) {
	cs := New()
	cs.Retire()
	tcp, _ := tcpPair(t)
	c := cs.add(tcp, false)
	seen := c.word.Load()
	c.enter(http.StateActive)
	c.enter(http.StateIdle)
	c.halfClose(seen)
	equal(t, "state", c.state(), idle)
	c.halfClose(c.word.Load())
	equal(t, "state", c.state(), halfClosed)
}

func TestLingerReturnsWhenTheLastConnectionIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lingering{Conns: New()}
		var conns []*Conn
		for range 3 {
			tcp, _ := tcpPair(t)
			conns = append(conns, l.add(tcp, false))
		}
		conns[0].enter(http.StateHijacked) // is not waited for
		l.Retire()
		began := time.Now()
		l.linger(t, time.Hour)
		defer l.over()
		time.Sleep(time.Minute)
		conns[1].end()
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case err := <-l.ended:
			t.Fatalf("Linger returned (%v) while one was there", err)
		default:
		}
		conns[2].move(flushing) // closed by the server is enough
		must(t, l.end(t))
		equal(t, "it took", time.Since(began), 2*time.Minute)
	})
}

// A connection that we have half-closed is still the server's, until it has noticed:
// Shutdown must not come before.
func TestLingerWaitsUntilTheServerHasLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lingering{Conns: New()}
		tcp, _ := tcpPair(t)
		c := l.add(tcp, false)
		l.Retire()
		l.linger(t, 0)
		defer l.over()
		time.Sleep(time.Hour)
		equal(t, "state", c.state(), halfClosed)
		equal(t, "Linger has returned", len(l.ended), 0)
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the server reads: %v, want the end", err)
		}
		c.end()
		must(t, l.end(t))
	})
}

// Without a successor nothing lingers; but what has begun to arrive is waited for,
// and what is being answered is.
func TestWithoutATimeoutWhatIsIdleEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lingering{Conns: New()}
		conns := map[state]*Conn{}
		for s := fresh; s <= idle; s++ {
			tcp, _ := tcpPair(t)
			conns[s] = l.add(tcp, false)
			conns[s].move(s)
		}
		l.Retire()
		l.linger(t, 0)
		defer l.over()
		states := func(want ...state) func() {
			return func() {
				t.Helper()
				for s := fresh; s <= idle; s++ {
					equal(t, "state", conns[s].state(), want[s])
				}
			}
		}
		states(halfClosed, reading, whole, active, halfClosed)()
		l.after(patience, states(halfClosed, reading, whole, active, halfClosed), states(halfClosed, halfClosed, whole, active, halfClosed))

		conns[active].enter(http.StateIdle)
		time.Sleep(minTick)
		synctest.Wait()
		states(halfClosed, halfClosed, whole, halfClosed, halfClosed)()
	})
}

func TestLingerEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lingering{Conns: New()}
		tcp, _ := tcpPair(t)
		l.add(tcp, false).enter(http.StateActive)
		l.Retire()
		l.linger(t, time.Hour)
		defer l.over()
		time.Sleep(time.Minute)
		l.stop()
		if err := l.end(t); !errors.Is(err, context.Canceled) {
			t.Errorf("Linger: %v", err)
		}
	})
}

// Linger over a real server: the half-close must wake whoever waits in Read.
func TestTheServerLetsGoOfAConnectionThatLingerHasClosed(t *testing.T) {
	s := serve(t, http.HandlerFunc(hello))
	young, idle := dial(t, s.addr), dial(t, s.addr)
	idle.ask()
	s.await(t, http.StateIdle)
	for s.Count() != (Count{Fresh: 1, Idle: 1}) {
		s.await(t, http.StateNew)
	}
	s.Retire()
	s.lingerNow(t)
	young.atEnd()
	idle.atEnd()
	must(t, s.srv.Shutdown(t.Context()))
	equal(t, "count", s.Count(), Count{Closing: 2})
}
