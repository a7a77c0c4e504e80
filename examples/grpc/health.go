package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// healthService is grpc's, but that its Watch ends when the instance leaves. grpc's
// goes on until the client ends it, and one that does not keeps GracefulStop waiting.
//
// A retiring instance does not say NOT_SERVING: it answers all that reaches it, and a
// client that checks health would fail calls instead of opening a new connection, which
// is what GOAWAY makes it do.
type healthService struct {
	*health.Server
	retiring context.Context
}

func registerHealth(srv *grpc.Server, retiring context.Context) {
	grpc_health_v1.RegisterHealthServer(srv, healthService{health.NewServer(), retiring})
}

func (h healthService) Watch(req *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	ctx, stop := context.WithCancel(stream.Context())
	defer stop()
	defer context.AfterFunc(h.retiring, stop)()
	err := h.Server.Watch(req, watchStream{stream, ctx})
	if h.retiring.Err() != nil && stream.Context().Err() == nil {
		return nil
	}
	return err
}

// watchStream is a stream with a context of its own.
type watchStream struct {
	grpc_health_v1.Health_WatchServer
	ctx context.Context
}

func (s watchStream) Context() context.Context { return s.ctx }
