package main

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

// calls counts the calls of a server, streams included.
type calls struct{ began, ended atomic.Int64 }

var _ stats.Handler = (*calls)(nil)

func (c *calls) HandleRPC(_ context.Context, event stats.RPCStats) {
	switch event.(type) {
	case *stats.Begin:
		c.began.Add(1)
	case *stats.End:
		c.ended.Add(1)
	}
}

// open returns how many calls have not ended: perhaps one too many, never too few.
func (c *calls) open() int64 {
	ended := c.ended.Load()
	return c.began.Load() - ended
}

func (c *calls) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (c *calls) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c *calls) HandleConn(context.Context, stats.ConnStats)                       {}
