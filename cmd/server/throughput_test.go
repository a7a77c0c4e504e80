package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/cmd/server/metrics"
)

// BenchmarkThroughput compares the reference service behind overlap with the same
// routes behind net/http alone. The two take turns, so that a machine that gets
// slower does so for both; the figure is the median of the ratios: 1 is no cost.
func BenchmarkThroughput(b *testing.B) {
	handler := routes(config{Release: "v1"}, yes, metrics.New("v1", "", "").Request, slog.New(slog.DiscardHandler))
	for _, bench := range []struct {
		name string
		keep bool
	}{{"keepalive", true}, {"new", false}} {
		b.Run(bench.name, func(b *testing.B) {
			ours, theirs := serveOverlap(b, handler), servePlain(b, handler)
			var ratios []float64
			for b.Loop() {
				a := requestsPerSecond(b, ours, bench.keep)
				ratios = append(ratios, a/requestsPerSecond(b, theirs, bench.keep))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "overlap/plain")
		})
	}
}

func servePlain(b *testing.B, handler http.Handler) (addr string) {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: handler}
	go srv.Serve(ln)
	b.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}

func serveOverlap(b *testing.B, handler http.Handler) (addr string) {
	b.Helper()
	serving := make(chan struct{})
	inst := overlap.New(overlap.Options{OnState: func(_, to overlap.State) {
		if to == overlap.StateServing {
			close(serving)
		}
	}})
	done := make(chan error, 1)
	go func() { done <- inst.Serve(&http.Server{Addr: "127.0.0.1:0", Handler: handler}) }()
	<-serving
	b.Cleanup(func() { inst.Cut(); <-done })
	return inst.Addrs()[0].String()
}

// requestsPerSecond drives addr with a few connections for a while.
func requestsPerSecond(b *testing.B, addr string, keep bool) float64 {
	b.Helper()
	const clients, span = 8, 250 * time.Millisecond
	ctx, stop := context.WithTimeout(context.Background(), span)
	defer stop()
	counts := make([]int, clients)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { counts[i], errs[i] = drive(ctx, addr, keep) })
	}
	began := time.Now()
	wg.Wait()
	took := time.Since(began)
	sum := 0
	for i := range clients {
		if errs[i] != nil {
			b.Fatal(errs[i])
		}
		sum += counts[i]
	}
	return float64(sum) / took.Seconds()
}

func drive(ctx context.Context, addr string, keep bool) (n int, err error) {
	var c net.Conn
	in := bufio.NewReader(nil)
	for ; ctx.Err() == nil; n++ {
		if c == nil {
			if c, err = net.Dial("tcp", addr); err != nil {
				return n, err
			}
			in.Reset(c)
		}
		if err := fetch(c, in); err != nil {
			return n, err
		}
		if !keep {
			c.Close()
			c = nil
		}
	}
	if c != nil {
		c.Close()
	}
	return n, nil
}

func fetch(c net.Conn, in *bufio.Reader) error {
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	_, err = in.Discard(int(resp.ContentLength))
	return err
}

// BenchmarkCounted compares the service with its metrics and without.
func BenchmarkCounted(b *testing.B) {
	with := func(count tally) http.Handler {
		return routes(config{Release: "v1"}, yes, count, slog.New(slog.DiscardHandler))
	}
	b.Run("service", func(b *testing.B) {
		counted, not := serveOverlap(b, with(metrics.New("v1", "", "").Request)), serveOverlap(b, with(uncounted))
		var ratios []float64
		for b.Loop() {
			a := requestsPerSecond(b, counted, true)
			ratios = append(ratios, a/requestsPerSecond(b, not, true))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "counted/not")
	})
	b.Run("request", func(b *testing.B) {
		m := metrics.New("v1", "", "")
		b.ReportAllocs()
		for took := time.Duration(1); b.Loop(); took++ {
			m.Request(http.StatusOK, took, false)
		}
	})
}
