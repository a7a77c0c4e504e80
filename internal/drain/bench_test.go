//go:build unix

// Broken on purpose, and seen red:
//
//   - the handler makes a copy of the request: TestARequestCostsNoAllocation

package drain

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// What we add to a request, without the network: the state that Read, the hook and
// the handler keep.
func BenchmarkWhatARequestCosts(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		once := oneRequest(b, false)
		b.ReportAllocs()
		for b.Loop() {
			once()
		}
	})
	b.Run("ours", func(b *testing.B) {
		once := oneRequest(b, true)
		b.ReportAllocs()
		for b.Loop() {
			once()
		}
	})
}

func TestARequestCostsNoAllocation(t *testing.T) {
	for _, ours := range []bool{false, true} {
		if n := testing.AllocsPerRun(1000, oneRequest(t, ours)); n != 0 {
			t.Errorf("ours %v: %v allocations for each request, want 0", ours, n)
		}
	}
}

// oneRequest returns what a server does for a request, less net/http's own part.
func oneRequest(tb testing.TB, ours bool) func() {
	tb.Helper()
	srv := &http.Server{
		Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ConnState: func(nc net.Conn, _ http.ConnState) {},
	}
	cs := New()
	tcp, _ := tcpPair(tb)
	c := cs.add(tcp, false)
	ctx := context.Background()
	if ours {
		cs.Attach(srv)
		ctx = srv.ConnContext(ctx, c)
	}
	ctx, stop := context.WithCancel(ctx) // as net/http derives one
	tb.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	must(tb, err)
	bytes := []byte(get)
	return func() {
		if ours {
			c.heard(bytes)
		}
		srv.ConnState(c, http.StateActive)
		srv.Handler.ServeHTTP(nil, r)
		srv.ConnState(c, http.StateIdle)
	}
}

// A whole request over loopback, to see the above in proportion.
func BenchmarkARequestOverLoopback(b *testing.B) {
	for name, start := range starts {
		b.Run(name, func(b *testing.B) {
			c := dial(b, start(b, http.HandlerFunc(hello), noHook).addr)
			c.SetDeadline(time.Time{})
			b.ReportAllocs()
			for b.Loop() {
				c.ask()
			}
		})
	}
}

// The same over HTTP/2, whose frames we watch.
func BenchmarkARequestOverHTTP2(b *testing.B) {
	for way, with := range map[string][]func(*http.Server){"clear": {withH2C}, "TLS": {withTLS, withH2}} {
		for name, start := range starts {
			b.Run(way+"/"+name, func(b *testing.B) {
				c := dial2(b, start(b, http.HandlerFunc(hello), append(with, noHook)...))
				c.tcp.SetDeadline(time.Time{})
				must(b, c.framer.WriteWindowUpdate(0, 1<<30)) // room for all the answers
				b.ReportAllocs()
				for stream := uint32(1); b.Loop(); stream += 2 {
					c.get(stream, "/")
					c.answer(stream)
				}
			})
		}
	}
}

var starts = map[string]func(testing.TB, http.Handler, ...func(*http.Server)) *service{"plain": servePlain, "ours": serve}

// What an idle connection takes of the server's memory; the client's is outside of
// the heap.
func BenchmarkMemoryOfIdleConnections(b *testing.B) {
	const conns = 2000
	for name, start := range starts {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				idle := make(chan struct{}, conns)
				s := start(b, http.HandlerFunc(hello), func(srv *http.Server) {
					srv.ConnState = func(_ net.Conn, to http.ConnState) {
						if to == http.StateIdle {
							idle <- struct{}{}
						}
					}
				})
				before := inUse()
				closeAll := dialRaw(b, s.addr, conns, get)
				for range conns {
					<-idle
				}
				b.ReportMetric(float64(inUse()-before)/conns, "bytes/conn")
				s.srv.Close()
				closeAll()
			}
		})
	}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// A look at ten thousand connections of which none is stale.
func BenchmarkASweepOverTenThousandConnections(b *testing.B) {
	cs := New()
	cs.Retire()
	for range 10_000 {
		c := cs.add(nil, false)
		c.enter(http.StateActive)
		c.enter(http.StateIdle)
	}
	for b.Loop() {
		cs.closeStale(time.Hour)
	}
}
