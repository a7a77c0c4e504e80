package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

// What an echoer writes down apart from its messages.
const (
	wsOpen = "ws open" // each opening: a refused one is lost
	wsEnd  = "ws end"  // each end: anything but close 1001 is lost
)

// echoer keeps a WebSocket, sends a message now and then, and opens the next one
// when the server has said 1001, going away.
//
// The server does not count a WebSocket as a request, so openings, messages and ends
// are only the clients' word: opened = closed with 1001 + lost + withdrawn at the end
// of the load, and sent = answered + declined + lost. Declined is a message that
// crossed a 1001: behind its close frame a server may say nothing more (RFC 6455
// 5.5.1). The close says how many messages were taken: one of these without an echo is
// lost.
type echoer struct {
	dialer  dialer
	timeout time.Duration
	random
	ws *socketed // nil: none
}

func newEchoer(s seat) *echoer {
	return &echoer{dialer: s.dialer.speaking("http/1.1"), timeout: s.timeout, random: random{dice: s.dice()}}
}

func (e *echoer) call(_ context.Context, l *ledger) {
	if e.ws != nil && e.ws.isOver() {
		e.ws.settle()
		e.ws = nil
	}
	if e.ws == nil && !e.open(l) {
		return
	}
	entry := l.beginApart(l.name, l.due)
	a := e.ws.opened
	err := e.ws.echo(e.bytes(), e.timeout)
	if websocket.CloseStatus(err) == websocket.StatusGoingAway {
		if err = e.ws.balance(); err == nil {
			err = errDeclined
		}
	}
	entry.end(a, err)
}

// open opens a WebSocket, whose end is an entry from then on.
func (e *echoer) open(l *ledger) bool {
	entry := l.beginApart(wsOpen, l.clock.now())
	ctx, cancel := context.WithTimeout(context.Background(), e.timeout)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, "ws://"+e.dialer.addr+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return e.dialer.dial(time.Now().Add(e.timeout))
			},
		}},
	})
	if err != nil {
		entry.end(answer{}, refusal(resp, err))
		return false
	}
	opened := answer{release: resp.Header.Get("Release"), conn: e.dialer.number()}
	entry.end(opened, nil)
	end := l.beginApart(wsEnd, l.clock.now())
	end.life = true
	e.ws = newSocketed(conn, opened, end)
	return true
}

// refusal is why there is no WebSocket.
func refusal(resp *http.Response, err error) error {
	if resp != nil {
		return fmt.Errorf("%w %d", errStatus, resp.StatusCode)
	}
	return err
}

func (e *echoer) close() {
	if e.ws != nil {
		e.ws.withdraw()
	}
}

// socketed is one open WebSocket. Its reader ends with it.
type socketed struct {
	conn   *websocket.Conn
	opened answer // which is on each entry
	end    *entry
	echoes chan []byte
	heard  int // echoes that came
	over   chan struct{}
	err    error // why it ended: to be read when over
}

func newSocketed(conn *websocket.Conn, opened answer, end *entry) *socketed {
	s := &socketed{conn: conn, opened: opened, end: end, echoes: make(chan []byte, 1), over: make(chan struct{})}
	go s.read()
	return s
}

// read hands over what the server sends, until the end. Only one message is under way
// at a time, so there is room for its echo.
func (s *socketed) read() {
	defer close(s.over)
	for {
		_, message, err := s.conn.Read(context.Background())
		if err != nil {
			s.err = err
			return
		}
		s.heard++
		select {
		case s.echoes <- message:
		default:
			s.err = fmt.Errorf("%w: an echo that nobody waits for", errBody)
			_ = s.conn.CloseNow()
			return
		}
	}
}

func (s *socketed) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// echo sends a message and waits until it comes back.
func (s *socketed) echo(message []byte, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageBinary, message); err != nil {
		<-s.over // a failed write ends the connection; the reader knows why
		return s.cause()
	}
	select {
	case got := <-s.echoes:
		return same(got, message)
	case <-s.over:
	case <-ctx.Done():
		_ = s.conn.CloseNow()
		<-s.over
		return ctx.Err()
	}
	select {
	case got := <-s.echoes: // the last word before the end
		return same(got, message)
	default:
		return s.cause()
	}
}

func same(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: %d bytes %.40q, wanted %d bytes %.40q", errBody, len(got), got, len(want), want)
	}
	return nil
}

// settle notes how the WebSocket ended.
func (s *socketed) settle() {
	if websocket.CloseStatus(s.err) == websocket.StatusGoingAway {
		s.end.end(s.opened, s.balance())
		return
	}
	s.end.end(s.opened, s.cause())
}

// balance holds what a server that has gone away says it has taken against its echoes.
func (s *socketed) balance() error {
	var closed websocket.CloseError
	taken := 0
	if !errors.As(s.err, &closed) {
		return s.err
	}
	if _, err := fmt.Sscanf(closed.Reason, "retiring, messages taken: %d", &taken); err != nil {
		return fmt.Errorf("%w: the close does not say how many messages were taken: %q", errBody, closed.Reason)
	}
	if taken != s.heard {
		return fmt.Errorf("%w: %d messages were taken, %d came back", errBody, taken, s.heard)
	}
	return nil
}

// cause is why the WebSocket ended. To have been closed is an end like a cut.
func (s *socketed) cause() error {
	var closed websocket.CloseError
	if errors.As(s.err, &closed) && closed.Code != websocket.StatusGoingAway {
		return fmt.Errorf("%w: %w", io.EOF, s.err)
	}
	if errors.Is(s.err, net.ErrClosed) {
		return fmt.Errorf("%w: %w", syscall.ECONNRESET, s.err)
	}
	return s.err
}

// withdraw ends the WebSocket at the end of the load, unless the server was first.
func (s *socketed) withdraw() {
	if !s.isOver() {
		_ = s.conn.Close(websocket.StatusNormalClosure, "") // its error is in err, too
		<-s.over
		if websocket.CloseStatus(s.err) != websocket.StatusGoingAway {
			s.err = nil
		}
	}
	if s.err == nil {
		s.end.end(s.opened, errWithdrawn)
		return
	}
	s.settle()
}
