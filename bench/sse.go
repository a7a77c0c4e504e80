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
// A stream is a request like any other, whose answer is whole when it ends with the
// last event and the hint when to come again. Those that are open at the load's end
// are withdrawn: the server may have counted them.
type listener struct {
	*client
	wire []byte
	wait time.Duration // until the next stream, as the server asked for
}

func newListener(s seat) *listener {
	return &listener{client: newClient(s.dialer.speaking("http/1.1"), s.timeout), wire: s.target.get("/events", true)}
}

func (li *listener) call(ctx context.Context, l *ledger) {
	if !sleep(ctx, li.wait) {
		return
	}
	li.wait = 0
	entry := l.begin()
	a, err := li.converse(true, func() (answer, error) {
		if err := li.send(li.wire); err != nil {
			return answer{}, err
		}
		defer context.AfterFunc(ctx, func() { li.conn.SetReadDeadline(time.Now()) })()
		return li.stream(func(resp *http.Response) error { return li.listen(ctx, resp) })
	})
	if err != nil && ctx.Err() != nil {
		err = errWithdrawn
	}
	entry.end(a.release, err)
}

// listen reads events until the stream ends. The client's timeout holds for each.
func (li *listener) listen(ctx context.Context, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w %d", errStatus, resp.StatusCode)
	}
	in, last := bufio.NewReader(resp.Body), event{}
	for {
		e, err := readEvent(in)
		switch {
		case err == io.EOF && last.name == lastEvent && last.retry > 0:
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

// event is what a client needs to know of one.
type event struct {
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
