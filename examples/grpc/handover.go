package main

import (
	"context"
	"net"
	"sync"

	"github.com/ba995850/overlap"
	"google.golang.org/grpc/credentials"
)

// handover is both the listener and the credentials of a gRPC server, and closes the
// gap between the two. What Accept returned, grpc hands to a new goroutine, and that
// one closes the connection unread if GracefulStop was called before it runs
// (Server.handleRawConn). The first that it does otherwise is to ask the credentials
// for a handshake: a connection for which it has done so is safe.
//
// The connection stays the bare *net.TCPConn that grpc looks for: only with one it sets
// TCP_USER_TIMEOUT, and keeps no read buffer for a connection that is idle.
type handover struct {
	*overlap.Listener
	credentials.TransportCredentials

	unbegun sync.WaitGroup // connections between Accept and their handshake
}

func (h *handover) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err == nil {
		h.unbegun.Add(1)
	}
	return c, err
}

func (h *handover) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	h.unbegun.Done()
	return h.TransportCredentials.ServerHandshake(c)
}

// Retire returns when grpc has begun with every connection that came this way.
func (h *handover) Retire(ctx context.Context) (overlap.Verdict, error) {
	verdict, err := h.Listener.Retire(ctx)
	if err == nil { // otherwise Accept may go on
		h.unbegun.Wait()
	}
	return verdict, err
}
