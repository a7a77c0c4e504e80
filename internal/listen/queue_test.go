package listen

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Broken on purpose, and seen red:
//   - no bound: AFullQueue, ASuccessorWhoseQueueIsFull
//   - a failure is reported for ever: AFailure
//   - the newest first: TheQueueHandsOutInOrder
//   - close drops without closing, or keeps what is pushed after it: both about ACloseEnds
//   - exhausted too early, or never: AQueueIsExhausted

// pair returns both ends of a connection.
func pair(tb testing.TB) (ours *net.TCPConn, theirs net.Conn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	theirs, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close(); theirs.Close() })
	return c.(*net.TCPConn), theirs
}

// expectEOF expects that the other end has been closed.
func expectEOF(tb testing.TB, c net.Conn) {
	tb.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		tb.Errorf("the connection was not closed: %v", err)
	}
}

func filled(tb testing.TB, n int) (q *queue, conns []*net.TCPConn) {
	tb.Helper()
	q = newQueue()
	for range n {
		c, _ := pair(tb)
		conns = append(conns, c)
		q.push(c)
	}
	return q, conns
}

func TestTheQueueHandsOutInOrder(t *testing.T) {
	q, conns := filled(t, 5)
	for i, want := range conns {
		if got, err := q.pop(); got != want || err != nil {
			t.Errorf("%d: popped %v, %v", i, got, err)
		}
	}
	if got := q.accepted(); got != len(conns) {
		t.Errorf("accepted %d, want %d", got, len(conns))
	}
}

func TestAFullQueueWaitsForRoom(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*queue)
	}{
		{"a pop", func(q *queue) { q.pop() }},
		{"no bound", func(q *queue) { q.setUnbounded(true) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, _ := filled(t, queueBound)
				more, _ := pair(t)
				go q.push(more)
				synctest.Wait() // until the push waits, or is done
				if got := q.accepted(); got != queueBound {
					t.Errorf("accepted %d, want %d", got, queueBound)
				}
				c.make(q)
				synctest.Wait()
				if got := q.accepted(); got != queueBound+1 {
					t.Errorf("accepted %d, want %d", got, queueBound+1)
				}
			})
		})
	}
}

func TestAnUnboundedQueueTakesEverything(t *testing.T) {
	q := newQueue()
	q.setUnbounded(true)
	for range 3 * queueBound {
		c, _ := pair(t)
		q.push(c)
	}
	if got := q.accepted(); got != 3*queueBound {
		t.Errorf("accepted %d", got)
	}
}

func TestAFailureIsReportedOnceAndAfterWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, conns := filled(t, 1)
		failure := errors.New("failure")
		q.fail(failure)
		if got, err := q.pop(); got != conns[0] || err != nil {
			t.Errorf("popped %v, %v", got, err)
		}
		if _, err := q.pop(); err != failure {
			t.Errorf("popped %v, want the failure", err)
		}
		popped := make(chan error, 1)
		go func() {
			_, err := q.pop()
			popped <- err
		}()
		synctest.Wait() // until the pop waits, or is done
		q.push(conns[0])
		if err := <-popped; err != nil {
			t.Errorf("popped %v again", err)
		}
	})
}

func TestACloseEndsEveryPopAndDropsWhatIsQueued(t *testing.T) {
	q := newQueue()
	c, theirs := pair(t)
	q.push(c)
	q.close()
	expectEOF(t, theirs)
	if _, err := q.pop(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("popped %v", err)
	}
	late, theirs := pair(t)
	q.push(late)
	expectEOF(t, theirs)
	q.close() // once more does no harm
}

func TestACloseEndsAPushAndAPopThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, _ := filled(t, queueBound)
		c, theirs := pair(t)
		go full.push(c)
		empty := newQueue()
		popped := make(chan error, 1)
		go func() {
			_, err := empty.pop()
			popped <- err
		}()
		synctest.Wait()
		full.close()
		expectEOF(t, theirs)
		empty.close()
		if err := <-popped; !errors.Is(err, net.ErrClosed) {
			t.Errorf("popped %v", err)
		}
	})
}

func TestAQueueIsExhaustedWhenSomebodyComesBackForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := filled(t, 1)
		q.finish()
		q.pop()
		select {
		case <-q.exhausted:
			t.Error("exhausted before anybody came back")
		default:
		}
		go q.pop()
		<-q.exhausted
		q.close()
	})
}
