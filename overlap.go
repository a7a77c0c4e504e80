package overlap

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// ListenAndServe serves handler on addr until SIGTERM or SIGINT, then retires. It
// takes the place of http.ListenAndServe. It handles SIGTERM and SIGINT (retire; a
// second SIGINT cuts, a second SIGTERM changes nothing) and SIGUSR2 (cut), and no
// other signal. That it serves, notices and the verdict go to slog's default logger. It returns what
// [Instance.Serve] returns: nil when the instance has retired.
func ListenAndServe(addr string, handler http.Handler) error {
	var inst *Instance
	inst = New(Options{
		OnState: func(_, to State) {
			if to == StateServing {
				slog.Info("serving", slog.Any("addr", inst.Addrs()))
			}
		},
		OnNotice:  func(text string) { slog.Warn(text) },
		OnVerdict: func(v Verdict) { slog.Info("verdict", slog.Any("", v)) },
	})
	defer handleSignals(inst)()
	return inst.Serve(&http.Server{Addr: addr, Handler: handler})
}

// Serve serves the servers, each on its Addr, until ctx ends, then retires. See
// [Instance.Serve] for what it does to the servers and what it returns.
func Serve(ctx context.Context, opts Options, srvs ...*http.Server) error {
	inst := New(opts)
	defer context.AfterFunc(ctx, inst.Retire)()
	return inst.Serve(srvs...)
}

// handleSignals handles signals until the function that it returns is called.
func handleSignals(inst *Instance) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, cutSignal)
	done := make(chan struct{})
	go func() {
		defer close(done)
		obeySignals(inst, signals)
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}

func obeySignals(inst *Instance, signals <-chan os.Signal) {
	interrupted := false
	for s := range signals {
		if s == cutSignal || s == os.Interrupt && interrupted {
			inst.Cut()
		}
		interrupted = interrupted || s == os.Interrupt
		inst.Retire()
	}
}
