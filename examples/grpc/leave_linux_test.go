package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/ba995850/overlap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// serveHere starts a server in the process of the test. edit may change it before.
func serveHere(t *testing.T, edit func(*server)) *server {
	t.Helper()
	s, err := newServer(t.Context(), config{
		Addr: "127.0.0.1:0", Release: "v1", Retire: true,
		DrainTimeout: 2 * time.Second, FinishTimeout: time.Second, ConnectionTimeout: 500 * time.Millisecond,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(s)
	}
	go s.grpc.Serve(s.port)
	return s
}

// Each of these connections has reached the port before the server leaves, so grpc
// greets it with SETTINGS. Without the wait of handover about 1 in 500 is closed.
func TestGrpcBeginsWithEachConnectionThatReachedThePort(t *testing.T) {
	for range 20 {
		s := serveHere(t, nil)
		var conns []net.Conn
		for range 30 {
			c, err := net.Dial("tcp", s.port.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			conns = append(conns, c)
		}
		if _, err := s.retire(t.Context()); err != nil {
			t.Fatal(err)
		}
		stopped := s.stopGracefully()
		for _, c := range conns {
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.ReadFull(c, make([]byte, 9)); err != nil {
				t.Errorf("a connection was closed unread: %v", err)
			}
			c.Close()
		}
		<-stopped
	}
}

func TestAHandoverWaitsForTheHandshakeOfWhatItHandedOut(t *testing.T) {
	ln, err := overlap.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := &handover{Listener: ln, TransportCredentials: insecure.NewCredentials()}
	defer port.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		for c, err := port.Accept(); err == nil; c, err = port.Accept() {
			accepted <- c
		}
	}()
	client, err := net.Dial("tcp", port.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c := <-accepted
	retired := make(chan error, 1)
	go func() {
		_, err := port.Retire(t.Context())
		retired <- err
	}()
	select {
	case err := <-retired:
		t.Errorf("retired (%v) while nobody had begun with a connection", err)
	case <-time.After(500 * time.Millisecond): // far more than it takes
	}
	if given, _, err := port.ServerHandshake(c); given != c || err != nil {
		t.Errorf("grpc gets %T, %v instead of the bare connection", given, err)
	}
	if err := <-retired; err != nil {
		t.Error(err)
	}
}

// GracefulStop waits for such a handler for ever, even after Stop.
func TestAHandlerThatIgnoresItsContextDoesNotKeepTheProcess(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	s := serveHere(t, func(s *server) {
		s.grpc.RegisterService(&grpc.ServiceDesc{ServiceName: "Deaf", Streams: []grpc.StreamDesc{{
			StreamName: "Hold", ServerStreams: true,
			Handler: func(any, grpc.ServerStream) error {
				close(entered)
				<-release
				return nil
			},
		}}}, nil)
	})
	conn := (&load{addr: s.port.Addr().String(), creds: insecure.NewCredentials()}).dial()
	defer conn.Close()
	if _, err := open(conn, "/Deaf/Hold", ""); err != nil {
		t.Fatal(err)
	}
	<-entered
	began := time.Now()
	if err := s.leave(); !errors.Is(err, errCut) {
		t.Errorf("left with %v", err)
	}
	if took := time.Since(began); took > s.DrainTimeout+time.Second {
		t.Errorf("left after %v", took)
	}
}
