// Broken on purpose, and seen red:
//
//   - hooks get our connection; r.TLS is not asked for; the context is not passed on:
//     TestWhatAUserHasSetWorksOnHTTP2AsWithoutUs
//   - Read does not look for the preface in what a handler has hijacked; the hook turns a
//     hijacked connection back: TestHTTP2OnAHijackedConnectionIsToldToo
//   - a listener that is bare all the same: TestAProtocolOfTheUsersOwnIsSpoken
//   - PRI is a method: TestHalfAPrefaceIsNoHTTP2
//   - the handler does not look at the protocol: TestHTTP2ThatIsNotWatchedIsSaid

//lint:file-ignore SA1019 it is what gin's UseH2C is made of

package drain

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// notes is what a user's hooks and handlers have seen.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func TestWhatAUserHasSetWorksOnHTTP2AsWithoutUs(t *testing.T) {
	type key struct{ name string }
	// see is what hooks and handlers see of a request.
	see := func(start func(testing.TB, http.Handler, ...func(*http.Server)) *service) []string {
		var n notes
		closed := make(chan struct{})
		s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.add("handler: %s to %T, TLS %x, %v, %v, flush %v", r.Proto, w, r.TLS.Version,
				r.Context().Value(key{"base"}), r.Context().Value(key{"conn"}), http.NewResponseController(w).Flush())
		}), withTLS, withH2, func(srv *http.Server) {
			srv.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 17}
			srv.BaseContext = func(net.Listener) context.Context {
				return context.WithValue(context.Background(), key{"base"}, "base")
			}
			var conn net.Conn
			srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
				conn = c
				n.add("context of a %T", c)
				return context.WithValue(ctx, key{"conn"}, "conn")
			}
			srv.ConnState = func(c net.Conn, to http.ConnState) {
				n.add("%v, the same: %v", to, c == conn)
				if to == http.StateClosed {
					close(closed)
				}
			}
		})
		c := connect2(t, s)
		_, err := io.WriteString(c.conn, h2.ClientPreface)
		must(t, err)
		must(t, c.framer.WriteSettings())
		streams, _ := c.read().(*h2.SettingsFrame).Value(h2.SettingMaxConcurrentStreams)
		n.add("SETTINGS with %d streams", streams)
		c.get(1, "/")
		c.answer(1)
		c.close()
		<-closed
		slices.Sort(n.lines) // client and server take notes side by side
		return n.lines
	}
	with, without := see(serve), see(servePlain)
	if diff := cmp.Diff(without, with); diff != "" {
		t.Errorf("seen without us and with us:\n%s", diff)
	}
	equal(t, "notes", len(with), 9)
}

// A server that switches HTTP/2 off by an empty TLSNextProto is not talked into it.
func TestHTTP2ThatIsSwitchedOffStaysOff(t *testing.T) {
	s := serve(t, http.HandlerFunc(hello), withTLS, func(srv *http.Server) {
		srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	})
	dial(t, s.addr)
	s.await(t, http.StateNew)
	equal(t, "protocols", len(s.srv.TLSNextProto), 0)
	equal(t, "in one step", s.OneStep(), false)
}

// What a user has registered for a protocol is called with what it takes, a *tls.Conn.
// That nobody watches HTTP/2 then, with Go 1.27, is said.
func TestAProtocolOfTheUsersOwnIsSpoken(t *testing.T) {
	own := func(_ *http.Server, c *tls.Conn, _ http.Handler) {
		io.WriteString(c, "own")
		c.Close()
	}
	for _, proto := range []string{"acme", "h2"} {
		t.Run(proto, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(hello), withTLS, func(srv *http.Server) {
				srv.TLSConfig.NextProtos = []string{"acme", "h2", "http/1.1"}
				srv.Protocols = new(http.Protocols)
				srv.Protocols.SetHTTP1(true)
				srv.Protocols.SetHTTP2(true)
				srv.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){proto: own}
			})
			c := tls.Client(dial(t, s.addr), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}})
			said, err := io.ReadAll(c)
			must(t, err)
			equal(t, "said", string(said), "own")
			equal(t, "in one step", s.OneStep(), proto == "h2" || ownIsBare)
		})
	}
}

// net/http passes half a preface on as a request.
func TestHalfAPrefaceIsNoHTTP2(t *testing.T) {
	s := serve(t, http.HandlerFunc(hello))
	c := dial(t, s.addr)
	c.send(preface[:len(preface)-len("SM\r\n\r\n")])
	c.answer()
	equal(t, "in one step", s.OneStep(), false)
}

func TestHTTP2OnAHijackedConnectionIsToldToo(t *testing.T) {
	h := hold()
	requests := echoAndHold(h)
	s := serve(t, h2c.NewHandler(requests, new(h2.Server)))
	c := dial2(t, s)
	c.get(1, "/hold")
	<-h.begun
	equal(t, "count", s.Count(), Count{Active: 1})
	s.Retire()
	c.told()
	c.obey()
	s.lingerNow(t)
	h.release <- struct{}{}
	equal(t, "answer", c.answer(1), "held")
	c.goAway(1)
	c.atEnd()
	c.close()
	s.flushed(t)
	equal(t, "requests", s.Requests(), 1)
	equal(t, "late", s.Late(), 0)
}

// Whatever brings net/http to speak HTTP/2 on a connection that we do not watch: a user's
// own implementation, a Go that does it in another way.
func TestHTTP2ThatIsNotWatchedIsSaid(t *testing.T) {
	cs := New()
	tcp, _ := tcpPair(t)
	r := requestOn(t, cs.add(tcp, false))
	h := cs.handler(http.HandlerFunc(hello))
	h.ServeHTTP(httptest.NewRecorder(), r)
	equal(t, "HTTP/1 in one step", cs.OneStep(), false)
	r.ProtoMajor, r.ProtoMinor = 2, 0
	h.ServeHTTP(httptest.NewRecorder(), r)
	equal(t, "HTTP/2 in one step", cs.OneStep(), true)
	equal(t, "requests", cs.Requests(), 2)
}
