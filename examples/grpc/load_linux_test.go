package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// load is clients that make calls until they are stopped, and account for each.
//
// WithDisableRetry does not disable what grpc calls transparent retries: a call that
// did not reach the wire, or that GOAWAY or REFUSED_STREAM declares unprocessed, is
// made again without a word. The first kind is no loss. The second would hide one, so
// the load counts what reaches the wire: each call must do so once.
type load struct {
	addr  string
	creds credentials.TransportCredentials
	wire  wire
	calls sync.WaitGroup // the clients that make unary calls
	lives sync.WaitGroup // those that hold streams

	opening sync.RWMutex // held by a stream that is being opened
	stopped chan struct{}

	mu       sync.Mutex
	changed  sync.Cond
	sent     int
	answered map[string]int      // unary calls, by release
	opened   map[string][]string // the releases that answered a stream, each time it was opened
	ended    int                 // streams that ended without an error
	errs     []error
}

// wire counts the calls whose headers were sent.
type wire struct{ calls atomic.Int64 }

func (w *wire) HandleRPC(_ context.Context, event stats.RPCStats) {
	if _, sent := event.(*stats.OutHeader); sent {
		w.calls.Add(1)
	}
}

func (w *wire) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (w *wire) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (w *wire) HandleConn(context.Context, stats.ConnStats)                       {}

const (
	keepers   = 8  // unary calls on a connection that is kept
	newcomers = 12 // unary calls on a connection for each
	followers = 3  // of each kind of stream, on a connection of its own
)

func send(t testing.TB, addr string, creds credentials.TransportCredentials) *load {
	l := &load{addr: addr, creds: creds, stopped: make(chan struct{}), answered: map[string]int{}, opened: map[string][]string{}}
	l.changed.L = &l.mu
	for range keepers {
		l.calls.Go(l.keep)
	}
	for range newcomers {
		l.calls.Go(l.comeAnew)
	}
	for i := range followers {
		for kind, live := range map[string]live{"follow": follow, "chat": chat, "watch": watch} {
			l.lives.Go(func() { l.stream(fmt.Sprint(kind, i), live) })
		}
	}
	l.awaitStreams(t, 1)
	return l
}

func (l *load) dial() *grpc.ClientConn {
	conn, err := grpc.NewClient(l.addr, grpc.WithTransportCredentials(l.creds),
		grpc.WithDisableRetry(), grpc.WithNoProxy(), grpc.WithStatsHandler(&l.wire))
	if err != nil {
		panic(err) // an option is wrong
	}
	return conn
}

func (l *load) isStopped() bool {
	select {
	case <-l.stopped:
		return true
	default:
		return false
	}
}

func (l *load) keep() {
	conn := l.dial()
	defer conn.Close()
	for i := 0; !l.isStopped(); i++ {
		l.note(say(conn, fmt.Sprint(i)))
	}
}

func (l *load) comeAnew() {
	for i := 0; !l.isStopped(); i++ {
		conn := l.dial()
		l.note(say(conn, fmt.Sprint(i)))
		conn.Close()
	}
}

func (l *load) note(release string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.answered[release]++
	l.changed.Broadcast()
}

// live opens a stream and stays in it until the server ends it: nil if it did so in
// order. It calls opened with the release that answers, if that can be seen.
type live func(conn *grpc.ClientConn, opened func(release string)) error

// stream opens a stream again each time that it ends.
func (l *load) stream(name string, live live) {
	conn := l.dial()
	defer conn.Close()
	for l.mayOpen() {
		opened := sync.OnceFunc(l.opening.RUnlock)
		err := live(conn, func(release string) {
			l.noteOpened(name, release)
			opened()
		})
		opened()
		l.noteEnded(err)
		if err != nil {
			return // once is enough, and the next may fail at once again
		}
	}
}

// mayOpen returns true with l.opening held, unless the load was stopped.
func (l *load) mayOpen() bool {
	l.opening.RLock()
	if l.isStopped() {
		l.opening.RUnlock()
		return false
	}
	return true
}

func (l *load) noteOpened(name, release string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened[name] = append(l.opened[name], release)
	l.changed.Broadcast()
}

func (l *load) noteEnded(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("stream: %w", err))
	} else {
		l.ended++
	}
	l.changed.Broadcast()
}

// stop ends the unary calls. When it returns no stream is being opened, and none will.
func (l *load) stop() {
	l.opening.Lock()
	close(l.stopped)
	l.opening.Unlock()
	l.calls.Wait()
}

// await waits until what the clients have noted is as wanted.
func (l *load) await(t testing.TB, what string, wanted func() bool) {
	t.Helper()
	late := false
	watchdog := time.AfterFunc(30*time.Second, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.changed.Broadcast()
	})
	defer watchdog.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !wanted() {
		if late {
			t.Fatalf("waited in vain for %s: answered %v, opened %v, errors %v", what, l.answered, l.opened, l.errs)
		}
		l.changed.Wait()
	}
}

func (l *load) awaitAnswer(t testing.TB, release string) {
	t.Helper()
	l.await(t, "an answer of "+release, func() bool { return l.answered[release] > 0 || len(l.errs) > 0 })
}

// awaitStreams waits until each stream has been opened n times.
func (l *load) awaitStreams(t testing.TB, n int) {
	t.Helper()
	l.await(t, fmt.Sprintf("the streams to be opened %d times", n), func() bool {
		behind := func(releases []string) bool { return len(releases) < n }
		return len(l.opened) == 3*followers && !slices.ContainsFunc(slices.Collect(maps.Values(l.opened)), behind) || len(l.errs) > 0
	})
}

// sum waits for the streams to end and checks that each call was accounted for: by the clients,
// on the wire, and by the servers, which have seen so many.
func (l *load) sum(t testing.TB, seen int) {
	t.Helper()
	l.lives.Wait()
	answered, streams := 0, 0
	for _, n := range l.answered {
		answered += n
	}
	for _, releases := range l.opened {
		streams += len(releases)
	}
	t.Logf("unary: sent %d, answered %v; streams: opened %d, ended in order %d; on the wire %d, seen by servers %d; errors %d",
		l.sent, l.answered, streams, l.ended, l.wire.calls.Load(), seen, len(l.errs))
	if l.sent == 0 || l.sent != answered || streams != l.ended || len(l.errs) > 0 {
		t.Errorf("%d were lost: %v", len(l.errs), l.errs[:min(len(l.errs), 5)])
	}
	if total := l.sent + streams; int(l.wire.calls.Load()) != total || seen != total {
		t.Errorf("of %d calls and streams %d were on the wire, and the servers have seen %d", total, l.wire.calls.Load(), seen)
	}
}

// open opens a stream and says something in it.
func open(conn *grpc.ClientConn, method string, text string) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: method == methodChat}
	stream, err := conn.NewStream(context.Background(), desc, method)
	if err != nil {
		return nil, err
	}
	return stream, stream.SendMsg(wrapperspb.String(text))
}

func hear(stream grpc.ClientStream) (release, text string, err error) {
	heard := new(wrapperspb.StringValue)
	err = stream.RecvMsg(heard)
	release, text, _ = strings.Cut(heard.Value, " ")
	return release, text, err
}

// inOrder is nil for the end of a stream that ended without an error.
func inOrder(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func follow(conn *grpc.ClientConn, opened func(string)) error {
	stream, err := open(conn, methodFollow, "")
	if err != nil {
		return err
	}
	stream.CloseSend()
	for first := true; ; first = false {
		release, _, err := hear(stream)
		if err != nil {
			return inOrder(err)
		}
		if first {
			opened(release)
		}
	}
}

// chat says something as soon as the last was answered, until it hears goodbye.
func chat(conn *grpc.ClientConn, opened func(string)) error {
	stream, err := open(conn, methodChat, "0")
	for i := 0; err == nil; i++ {
		release, text, bad := hear(stream)
		last := bad == nil && release == goodbye
		if last {
			stream.CloseSend()
			release, text, bad = hear(stream) // we had said something
		}
		if bad != nil || text != fmt.Sprint(i) {
			return fmt.Errorf("said %d, heard %q, %v", i, text, bad)
		}
		if i == 0 {
			opened(release)
		}
		if last {
			_, _, err = hear(stream)
			return inOrder(err)
		}
		err = stream.SendMsg(wrapperspb.String(fmt.Sprint(i + 1)))
	}
	return err
}

func watch(conn *grpc.ClientConn, opened func(string)) error {
	stream, err := grpc_health_v1.NewHealthClient(conn).Watch(context.Background(), &grpc_health_v1.HealthCheckRequest{})
	for first := true; err == nil; first = false {
		var health *grpc_health_v1.HealthCheckResponse
		if health, err = stream.Recv(); err == nil && health.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			err = fmt.Errorf("the server says %v", health.Status)
		}
		if err == nil && first {
			opened("")
		}
	}
	return inOrder(err)
}
