package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/ba995850/overlap"
)

// typeOfEvents is the media type of an event stream.
const typeOfEvents = "text/event-stream"

const (
	// The bounds of ?every= of /events.
	minEvery = 10 * time.Millisecond
	maxEvery = time.Minute

	// writePatience is how long a client that holds a connection for long may take
	// none of what is written to it.
	writePatience = 5 * time.Second

	// comeBack is when an event stream that ended should be asked for again. Streams end
	// spread over time already, so there is nothing to wait for but the successor, where
	// there is none yet.
	comeBack = 250 * time.Millisecond
)

// moment returns a time of one client's own, within spread from now.
func moment(spread time.Duration) <-chan time.Time { return time.After(rand.N(spread + 1)) }

// events sends an event each ?every=, until the client leaves or we do. Numbers go on
// from the one that the client has seen last, from whichever release.
func events(release string, spread time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		every, err := parseEvery(r.URL.Query().Get("every"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		header := w.Header()
		header.Set("Content-Type", typeOfEvents)
		header.Set("Cache-Control", "no-store")
		if r.ProtoMajor == 1 {
			header.Set("Connection", "close") // so that who comes again comes to the successor
		}
		last, _ := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 32) // 0 where it is not ours
		s := &eventStream{w: w, ctl: http.NewResponseController(w), release: release, id: last}
		s.run(r, every, spread)
	}
}

func parseEvery(text string) (time.Duration, error) {
	if text == "" {
		return time.Second, nil
	}
	every, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("every=%s: %w; ask for /events?every=1s", text, err)
	case every < minEvery || every > maxEvery:
		return 0, fmt.Errorf("every=%s: not between %v and %v", text, minEvery, maxEvery)
	}
	return every, nil
}

// eventStream is one response of server-sent events.
type eventStream struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	release string
	id      uint64 // of the last event
}

func (s *eventStream) run(r *http.Request, every, spread time.Duration) {
	retiring, leave := overlap.Retiring(r.Context()), (<-chan time.Time)(nil)
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for err := s.next(); err == nil; {
		select {
		case <-ticks.C:
			err = s.next()
		case <-retiring:
			retiring, leave = nil, moment(spread)
		case <-leave:
			_ = s.send("event: retiring\nretry: %d\ndata: %s\n\n", comeBack.Milliseconds(), s.release)
			return
		case <-r.Context().Done(): // the client has gone, or takes nothing any more
			return
		}
	}
}

func (s *eventStream) next() error {
	s.id++
	return s.send("id: %d\ndata: %s\n\n", s.id, s.release)
}

// send writes and flushes. Who does not read must not keep us: a write that does not
// get anywhere ends the stream. On HTTP/2 a deadline ends it even when nothing is being
// written, so there is none between two events.
func (s *eventStream) send(format string, args ...any) error {
	_ = s.ctl.SetWriteDeadline(time.Now().Add(writePatience)) // a test's recorder has none
	defer s.ctl.SetWriteDeadline(time.Time{})
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.ctl.Flush()
}
