package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lastEvent is what the server calls the event with which it ends a stream.
const lastEvent = "retiring"

// listener keeps an event stream open until the server ends it, and opens the next
// one when it was told to come again.
//
// A stream is a request like any other, whose answer is whole when its events are
// numbered on from the stream before, whichever release that was of, and when it ends
// with the last event and the hint when to come again. Those that are open at the load's
// end are withdrawn: the server may have counted them.
type listener struct {
	*client
	target target
	seen   uint64        // number of the last event, of all streams
	wait   time.Duration // until the next stream, as the server asked for
}

func newListener(s seat) *listener {
	return &listener{client: newClient(s.dialer.speaking("http/1.1"), s.timeout), target: s.target}
}

func (li *listener) call(ctx context.Context, l *ledger) {
	if !sleep(ctx, li.wait) {
		return
	}
	li.wait = 0
	entry := l.begin()
	entry.life = true
	a, err := li.converse(true, func() (answer, error) {
		if err := li.send(li.target.getEvents(li.seen)); err != nil {
			return answer{}, err
		}
		conn := li.conn // which is another one, or none, when a function that has begun runs on
		defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })()
		return li.stream(func(resp *http.Response) error { return li.listen(ctx, resp) })
	})
	if err != nil && ctx.Err() != nil {
		err = errWithdrawn
	}
	entry.end(a, err)
}

// listen reads events until the stream ends. The client's timeout holds for each.
func (li *listener) listen(ctx context.Context, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w %d", errStatus, resp.StatusCode)
	}
	in, last, first := bufio.NewReader(resp.Body), event{}, li.seen+1
	for {
		e, err := readEvent(in)
		if err == nil {
			err = li.note(e)
		}
		switch {
		case err == io.EOF && last.name == lastEvent && last.retry > 0 && li.seen >= first:
			li.wait = last.retry
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("ended behind event %q: %w", last.name, io.ErrUnexpectedEOF)
		case err != nil:
			return err
		}
		last = e
		if ctx.Err() == nil { // else its deadline is past, and stays so
			_ = li.conn.SetReadDeadline(time.Now().Add(li.timeout)) // of a closed connection, as the read then says
		}
	}
}

// note wants each event to be numbered behind the one before, but for the last.
func (li *listener) note(e event) error {
	switch {
	case e.id == li.seen+1:
		li.seen = e.id
	case e.id != 0 || e.name != lastEvent:
		return fmt.Errorf("%w: event %d came behind %d", errBody, e.id, li.seen)
	}
	return nil
}

// event is what a client needs to know of one.
type event struct {
	id    uint64 // 0: it has none
	name  string
	retry time.Duration
}

// readEvent reads up to the empty line behind an event. The error is io.EOF only
// between two events.
func readEvent(in *bufio.Reader) (e event, err error) {
	for began := false; ; began = true {
		line, err := in.ReadString('\n')
		if err == io.EOF && (began || line != "") {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "":
			return e, nil
		case "id":
			e.id, _ = strconv.ParseUint(value, 10, 64) // of another service it is no number
		case "event":
			e.name = value
		case "retry":
			ms, _ := strconv.Atoi(value) // 0 is no hint
			e.retry = time.Duration(ms) * time.Millisecond
		}
	}
}

// sleep reports whether the time was over before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
