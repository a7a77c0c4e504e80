// Broken on purpose, and seen red:
//
//   - Close while retiring closes the socket at once; midway is not set:
//     TestAResponseThatIsOnItsWayArrivesWholeWhateverTheClientSends
//   - parting begins before our end is acknowledged: TestARequestThatCrossesOurEndOnABrokenPathIsLate
//   - flush is over when the peer has ended its side; Flush returns at once:
//     TestFlushWaitsForAPeerThatHasEndedItsSideEarly
//   - flush waits for the peer's end, however long; or for no time at all:
//     TestAPeerThatDoesNotEndItsSideHoldsFlushForTheTimeOfParting
//   - flush waits for the peer's end, however long:
//     TestAPeerThatGoesOnSendingDoesNotHoldFlush
//   - flush sends no FIN; unacknowledged counts the FIN; Cut does not add up; Cut does
//     not end: TestAPeerThatNeverReadsIsCutAndWhatItHasNotGotIsCounted
//   - Cut takes new ones for busy; not hijacked ones; not half-read ones; Cut does not
//     end: TestCutCountsWhatIsBusyAndNothingElse
//   - add does not look whether all was cut: TestAConnectionThatComesAfterCutIsCutToo

package drain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// big is a response that the kernel takes from the handler at once, but that a peer
// with a small buffer does not take from the kernel.
const big = 1 << 20

func sendBig(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(big))
	io.WriteString(w, strings.Repeat("x", big))
}

const getAndClose = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// dialSmall dials with a receive buffer that is far smaller than a response.
func dialSmall(tb testing.TB, addr string) *client {
	tb.Helper()
	return dialWith(tb, net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
	}}, addr)
}

// unsent is a response that its handler has finished, that net/http has closed
// behind, and of which hardly anything is on the way.
func unsent(t *testing.T, retired bool, begin func(*client)) (*service, *client) {
	t.Helper()
	s := serve(t, http.HandlerFunc(sendBig))
	if retired {
		s.Retire()
	}
	c := dialSmall(t, s.addr)
	begin(c)
	s.await(t, http.StateClosed)
	return s, c
}

// rest reads what there is to read.
func (c *client) rest() (n int64, err error) { return io.Copy(io.Discard, c.r) }

func TestAResponseThatIsOnItsWayArrivesWholeWhateverTheClientSends(t *testing.T) {
	request := func(c *client) { c.send(getAndClose) }
	t.Run("retired", func(t *testing.T) {
		s, c := unsent(t, true, request)
		for range 3 {
			c.send(get)
		}
		resp, body := c.answer()
		equal(t, "status", resp.StatusCode, 200)
		equal(t, "length", len(body), big)
		c.atEnd()
		c.Close()
		s.flushed(t)
		equal(t, "late", s.Late(), 0) // they were told
	})
	// This is what net/http does by itself, and shows that the client can see it.
	t.Run("not retired", func(t *testing.T) {
		_, c := unsent(t, false, request)
		c.send(get)
		n, err := c.rest()
		if n >= big || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%d bytes arrived, then %v: the test cannot see a truncated response", n, err)
		}
	})
}

// A client may end its side right behind its request. Flush waits all the same.
func TestFlushWaitsForAPeerThatHasEndedItsSideEarly(t *testing.T) {
	s, c := unsent(t, true, func(c *client) {
		c.send(get)
		must(t, c.CloseWrite())
	})
	s.stillFlushing(t, 5*maxFlushPoll)
	_, body := c.answer()
	equal(t, "length", len(body), big)
	c.atEnd()
	s.flushed(t)
}

// stillFlushing wants that Flush does not return for a while.
func (s *service) stillFlushing(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	if err := s.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Flush: %v, though the peer has not got everything", err)
	}
	equal(t, "count", s.Count(), Count{Closing: 1})
}

func TestAPeerThatDoesNotEndItsSideHoldsFlushForTheTimeOfParting(t *testing.T) {
	t.Parallel()
	s := serve(t, http.HandlerFunc(hello))
	s.Retire()
	c := dial(t, s.addr)
	began := time.Now()
	c.ask()
	c.atEnd()
	s.flushed(t)
	if took := time.Since(began); took < parting || took > parting+10*maxFlushPoll {
		t.Errorf("Flush took %v, want %v", took, parting)
	}
}

// Nor does one that goes on sending.
func TestAPeerThatGoesOnSendingDoesNotHoldFlush(t *testing.T) {
	t.Parallel()
	s := serve(t, http.HandlerFunc(hello))
	s.Retire()
	c := dial(t, s.addr)
	c.ask()
	go func() {
		for {
			if _, err := io.WriteString(c.TCPConn, get); err != nil {
				return // closed at last
			}
		}
	}()
	began := time.Now()
	s.flushed(t)
	if took := time.Since(began); took > 3*parting {
		t.Errorf("Flush took %v", took)
	}
}

func TestAPeerThatNeverReadsIsCutAndWhatItHasNotGotIsCounted(t *testing.T) {
	s, c := unsent(t, true, func(c *client) { c.send(get) })
	s.stillFlushing(t, 5*maxFlushPoll)
	arrived := ask(c.TCPConn, syscall.TIOCINQ)
	busy, unacknowledged := s.Cut()
	equal(t, "busy", busy, 0)
	s.flushed(t)

	// The kernel goes on sending what the process has left to it.
	total, err := c.rest()
	must(t, err)
	equal(t, "had arrived or was unacknowledged", int64(arrived)+unacknowledged, total)
	if unacknowledged < big/2 {
		t.Errorf("%d bytes were unacknowledged: the test proves little", unacknowledged)
	}
}

func TestCutCountsWhatIsBusyAndNothingElse(t *testing.T) {
	h := hold()
	s := serve(t, paths(map[string]http.HandlerFunc{
		"/":     hello,
		"/held": h.ServeHTTP,
		"/hijack": func(w http.ResponseWriter, _ *http.Request) {
			hijack(t, w)
			h.begun <- struct{}{}
		},
	}))
	defer close(h.release)
	idle := dial(t, s.addr)
	idle.ask()
	s.await(t, http.StateIdle)
	active := dial(t, s.addr)
	active.send(path(get, "/held"))
	<-h.begun
	hijacked := dial(t, s.addr)
	hijacked.send(path(get, "/hijack"))
	<-h.begun
	begun := dial(t, s.addr)
	begun.send(get[:10])
	fresh := dial(t, s.addr)
	eventually(t, "all are there", func() bool {
		return s.Count() == Count{Fresh: 2, Active: 1, Idle: 1, Hijacked: 1} && s.in(reading) == 1
	})

	s.Retire()
	busy, unacknowledged := s.Cut()
	equal(t, "busy", busy, 3) // active, hijacked, begun
	equal(t, "unacknowledged", unacknowledged, 0)
	s.flushed(t)
	for _, c := range []*client{idle, active, hijacked, begun, fresh} {
		c.atEnd()
	}
	equal(t, "late", s.Late(), 0)
	equal(t, "requests", s.Requests(), 1)
}

func TestAConnectionThatComesAfterCutIsCutToo(t *testing.T) {
	s := serve(t, http.HandlerFunc(hello))
	s.Retire()
	s.Cut()
	dial(t, s.addr).atEnd()
	s.flushed(t)
	equal(t, "count", s.Count(), Count{})
}

// The clock of an idle connection has run out, but the client is still downloading
// the last response. It gets all its time once it has that.
func TestAConnectionThatStillDownloadsIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lingering{Conns: New()}
		tcp, peer := tcpPair(t)
		c := l.add(tcp, false)
		c.enter(http.StateActive)
		unread := fill(t, tcp)
		c.enter(http.StateIdle)
		l.Retire()
		l.linger(t, time.Hour)
		defer l.over()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		equal(t, "state while the peer has not got everything", c.state(), idle)

		_, err := io.CopyN(io.Discard, peer, int64(unread))
		must(t, err)
		eventually(t, "everything is acknowledged", func() bool { return outstanding(tcp) == 0 })
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if s := c.state(); s != halfClosed {
			t.Errorf("state when it has been idle for long: %v", s)
		}
	})
}

// fill writes to a connection until its peer, who does not read, has no room.
func fill(t *testing.T, tcp *net.TCPConn) (n int) {
	t.Helper()
	raw, err := tcp.SyscallConn()
	must(t, err)
	must(t, raw.Write(func(fd uintptr) bool {
		for {
			m, err := syscall.Write(int(fd), make([]byte, 64<<10))
			if err != nil {
				return true // no room
			}
			n += m
		}
	}))
	return n
}

// A path that is out in our direction: the client has not heard of our end, and its
// request, sent after parting is over, is counted. IP_MINTTL makes the client's kernel
// drop what we send, for nothing on loopback has a TTL of 255.
func TestARequestThatCrossesOurEndOnABrokenPathIsLate(t *testing.T) {
	t.Parallel()
	cs := New()
	cs.Retire()
	tcp, peer := tcpPair(t)
	c := cs.add(tcp, false)
	deaf(t, peer.TCPConn, 255)
	c.Close()
	<-time.After(parting + parting/2)
	peer.send(get)
	eventually(t, "the request was counted", func() bool { return cs.Late() == 1 })
	deaf(t, peer.TCPConn, 0)
	peer.Close()
	eventually(t, "it has gone", func() bool { return cs.Count() == Count{} })
}

func deaf(t *testing.T, tcp *net.TCPConn, minTTL int) {
	t.Helper()
	raw, err := tcp.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		must(t, syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MINTTL, minTTL))
	}))
}
