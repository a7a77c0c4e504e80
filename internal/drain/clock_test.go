package drain

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Broken on purpose, and seen red:
//
//   - an idle connection has an oldest request, too; a handler's begin is not noted:
//     TestTheOldestRequestIsKnown
//   - the begin of a connection counts, not that of a stream: TestTheOldestStreamIsKnown
//   - the clock stands; Tick goes on while stamps are exact: TestAStampIsOfThisTickOrExact

// oldestIs fails the test unless the oldest request began at this stamp; 0: there is none.
func (cs *Conns) oldestIs(tb testing.TB, stamp int64) {
	tb.Helper()
	eventually(tb, "the oldest is as old as that", func() bool {
		before := cs.now()
		age := int64(cs.Oldest())
		if stamp == 0 {
			return age == 0
		}
		return before-age <= stamp && stamp <= cs.now()-age
	})
}

// begins sets the clock to now, and returns what a request that begins has as its stamp.
func (cs *Conns) begins() int64 {
	at := cs.now()
	cs.clock.Store(at)
	return at
}

func TestTheOldestRequestIsKnown(t *testing.T) {
	first, second := hold(), hold()
	s := serve(t, paths(map[string]http.HandlerFunc{"/": hello, "/first": first.ServeHTTP, "/second": second.ServeHTTP}))
	dial(t, s.addr).ask() // is idle from now on
	s.oldestIs(t, 0)
	at := s.begins()
	a := dial(t, s.addr)
	a.send(path(get, "/first"))
	<-first.begun
	later := s.begins()
	b := dial(t, s.addr)
	b.send(path(get, "/second"))
	<-second.begun
	s.begins()
	s.oldestIs(t, at)
	close(first.release)
	a.answer()
	s.oldestIs(t, later)
	close(second.release)
	b.answer()
	s.oldestIs(t, 0)
}

func TestTheOldestStreamIsKnown(t *testing.T) {
	everyWay(t, func(t *testing.T, serve func(http.Handler, ...func(*http.Server)) *service) {
		first, second := hold(), hold()
		s := serve(paths(map[string]http.HandlerFunc{"/": hello, "/first": first.ServeHTTP, "/second": second.ServeHTTP}))
		c := dial2(t, s)
		c.get(1, "/")
		c.answer(1)
		s.oldestIs(t, 0)
		at := s.begins()
		c.get(3, "/first")
		<-first.begun
		later := s.begins()
		c.get(5, "/second")
		<-second.begun
		s.begins()
		s.oldestIs(t, at)
		close(first.release)
		c.answer(3)
		s.oldestIs(t, later)
		close(second.release)
		c.answer(5)
		s.oldestIs(t, 0)
	})
}

func TestAStampIsOfThisTickOrExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := New()
		defer cs.Tick()()
		for range 3 {
			time.Sleep(tick + tick/2)
			if age := time.Duration(cs.now() - cs.stamp()); age > tick {
				t.Errorf("a stamp is %v old", age)
			}
			cs.Retire()
			time.Sleep(3 * tick / 2)
			equal(t, "a stamp, retiring", cs.stamp(), cs.now())
			cs.Resume()
		}
	})
}
