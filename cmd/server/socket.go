package main

import (
	"context"
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

	// answerPatience is how long a client may take to answer our close. One that goes on
	// sending instead of answering is closed by the library, 5 s after our close.
	answerPatience = 2 * time.Second
)

// socket echoes WebSocket messages. Origins other than our own host are refused, so that
// no page of somebody else's can use the browser of a user.
//
// Retiring, it closes with 1001. What came before our close has been echoed, and what
// comes after it is not looked at: a message without an echo is safe to send again.
func socket(spread time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // the client has been told
		}
		defer conn.CloseNow()
		conn.SetReadLimit(maxMessage)
		reading, stop := context.WithCancel(context.WithoutCancel(r.Context()))
		defer stop()
		s := &echoSocket{conn: conn, messages: make(chan message), stop: stop}
		go s.read(reading)
		s.run(overlap.Retiring(r.Context()), spread)
	}
}

type message struct {
	kind websocket.MessageType
	data []byte
}

// echoSocket is one WebSocket. Only run writes to it.
type echoSocket struct {
	conn     *websocket.Conn
	messages chan message // closed by read
	stop     func()       // ends read, and with it the connection
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
	defer time.AfterFunc(answerPatience, s.stop).Stop()
	_ = s.conn.Close(websocket.StatusGoingAway, "retiring") // whether it was answered changes nothing
}
