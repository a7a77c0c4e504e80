package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ba995850/overlap"
	"google.golang.org/grpc"
)

var errCut = errors.New("calls were cut at the deadline")

// server is a gRPC server that can leave its port to the next release.
type server struct {
	config
	log        *slog.Logger
	grpc       *grpc.Server
	port       *handover
	calls      *calls
	endStreams func() // tells the handlers of streams that live long
}

func serve(ctx context.Context, stdout io.Writer, flags *flag.FlagSet, args []string) error {
	cfg, err := parseConfig(flags, args)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stdout, nil)).With("release", cfg.Release)
	s, err := newServer(ctx, cfg, log)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.grpc.Serve(s.port) }()
	log.Info("serving", "addr", s.port.Addr().String(), "tier", s.port.Tier().String())
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("serve: %w", err)
		case <-s.port.RetireAsked(): // by "server retire"
		case <-ctx.Done():
		}
		if err := s.leave(); !errors.Is(err, overlap.ErrTakenBack) {
			return err
		}
	}
}

func newServer(ctx context.Context, cfg config, log *slog.Logger) (*server, error) {
	creds, err := cfg.credentials()
	if err != nil {
		return nil, err
	}
	opts := overlap.Options{
		Release:       cfg.Release,
		DrainTimeout:  cfg.DrainTimeout,
		FinishTimeout: cfg.FinishTimeout,
		OnNotice:      func(text string) { log.Warn(text) },
	}
	ln, err := opts.Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	retiring, endStreams := context.WithCancel(context.Background())
	s := &server{config: cfg, log: log, port: &handover{Listener: ln, TransportCredentials: creds}, calls: &calls{}, endStreams: endStreams}
	s.grpc = grpc.NewServer(
		grpc.Creds(s.port), // instead of creds: see handover
		grpc.ConnectionTimeout(cfg.ConnectionTimeout),
		grpc.StatsHandler(s.calls))
	s.grpc.RegisterService((&echo{cfg.Release, retiring}).desc(), nil)
	registerHealth(s.grpc, retiring)
	return s, nil
}

// leave is how a gRPC server gives way. One deadline bounds all of it.
//
//  1. Retire: new connections go to the next release, and grpc has begun with all
//     that came here. GracefulStop would have reset the others.
//  2. GracefulStop: once no connection is in its handshake any more, each one gets
//     GOAWAY, twice, a PING apart, so that calls on their way to us are answered.
//     Handshakes are bounded by ConnectionTimeout, 120 s if nobody sets it, and Stop
//     waits for them too. So it must be less than what Retire leaves us, which is at
//     least FinishTimeout: otherwise one client that says nothing keeps all others
//     from being told, and the process from ending in time.
//  3. The streams that live long end, when GOAWAY is out: a client that opens its
//     stream again before would come back to us.
//  4. Stop: at the deadline what is left is cut, and counted.
func (s *server) leave() error {
	ctx, stop := context.WithTimeout(context.Background(), s.DrainTimeout)
	defer stop()
	verdict, err := s.retire(ctx)
	if errors.Is(err, overlap.ErrTakenBack) {
		return err
	}
	defer time.AfterFunc(s.ConnectionTimeout, s.endStreams).Stop()
	var cut int64
	select {
	case <-s.stopGracefully():
	case <-ctx.Done():
		cut = s.calls.open()
		s.grpc.Stop()
	}
	s.log.Info("left", slog.Any("verdict", verdict), "calls", s.calls.began.Load(), "cut", cut)
	if cut > 0 {
		return errCut
	}
	return err
}

// stopGracefully returns at once: GracefulStop waits for every handler, also after
// Stop, and a handler may be deaf.
func (s *server) stopGracefully() (stopped chan struct{}) {
	stopped = make(chan struct{})
	go func() {
		defer close(stopped)
		s.grpc.GracefulStop()
	}()
	return stopped
}

// retire leaves the port, unless somebody wants to see what that is good for.
func (s *server) retire(ctx context.Context) (overlap.Verdict, error) {
	if s.Retire {
		return s.port.Retire(ctx)
	}
	return overlap.Verdict{Release: s.Release, Reason: "closed without retiring"}, nil
}
