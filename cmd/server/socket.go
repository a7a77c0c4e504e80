package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/ba995850/overlap"
	"github.com/coder/websocket"
)

const (
	// maxMessage bounds a message: it is held in memory as a whole.
	maxMessage = 1 << 20

	// A client that talks all the time is closed after mostTalk, right behind an echo;
	// another one after a lull, in which it is not likely that a message is on its way.
	lull     = 100 * time.Millisecond
	mostTalk = time.Second

	// answerPatience is how long a client may take to answer our close.
	answerPatience = 2 * time.Second

	// goingAway is the reason of our close.
	goingAway = "retiring, messages taken: %d"
)

// socket echoes WebSocket messages. Origins other than our own host are refused, so that
// no page of somebody else's can use the browser of a user.
//
// Retiring, it closes with 1001, and says how many messages it has taken and echoed. What
// comes after them is not looked at: a message without an echo is safe to send again.
func socket(spread time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		taken := &hijacking{ResponseWriter: w}
		conn, err := websocket.Accept(taken, r, nil)
		if err != nil {
			return // the client has been told
		}
		defer conn.CloseNow()
		conn.SetReadLimit(maxMessage)
		reading, stop := context.WithCancel(context.WithoutCancel(r.Context()))
		defer stop()
		s := &echoSocket{conn: conn, under: taken.conn, messages: make(chan message)}
		go s.read(reading)
		s.run(overlap.Retiring(r.Context()), spread)
	}
}

// hijacking keeps the connection that is hijacked through it.
type hijacking struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}

// WriteHeaderNow is what the library asks of gin's writer, which else keeps the header.
func (h *hijacking) WriteHeaderNow() {
	if late, ok := h.ResponseWriter.(interface{ WriteHeaderNow() }); ok {
		late.WriteHeaderNow()
	}
}

type message struct {
	kind websocket.MessageType
	data []byte
}

// echoSocket is one WebSocket. Only run writes to it.
type echoSocket struct {
	conn     *websocket.Conn
	under    net.Conn     // what conn is on
	messages chan message // closed by read
	taken    int          // of messages, each of which has its echo
}

// read hands the messages on until the connection ends or ctx does.
func (s *echoSocket) read(ctx context.Context) {
	defer close(s.messages)
	for {
		kind, data, err := s.conn.Read(ctx)
		if err != nil {
			return
		}
		select {
		case s.messages <- message{kind, data}:
		case <-ctx.Done():
			return
		}
	}
}

func (s *echoSocket) run(retiring <-chan struct{}, spread time.Duration) {
	var leave <-chan time.Time
	for {
		select {
		case m, ok := <-s.messages:
			if !ok || s.echo(m) != nil {
				return
			}
		case <-retiring:
			retiring, leave = nil, moment(spread)
		case <-leave:
			s.leave()
			return
		}
	}
}

func (s *echoSocket) echo(m message) error {
	s.taken++
	ctx, stop := context.WithTimeout(context.Background(), writePatience)
	defer stop()
	return s.conn.Write(ctx, m.kind, m.data)
}

// leave echoes what is under way, says goodbye, and waits for the answer.
func (s *echoSocket) leave() {
	for begun, quiet := time.Now(), false; !quiet && time.Since(begun) < mostTalk; {
		select {
		case m, ok := <-s.messages:
			if !ok || s.echo(m) != nil {
				return
			}
		case <-time.After(lull):
			quiet = true
		}
	}
	// The library waits 5 s, and for the rest of a frame that has begun for ever.
	defer time.AfterFunc(answerPatience, func() { s.under.SetDeadline(time.Unix(1, 0)) }).Stop()
	_ = s.conn.Close(websocket.StatusGoingAway, fmt.Sprintf(goingAway, s.taken)) // whether it was answered changes nothing
}
