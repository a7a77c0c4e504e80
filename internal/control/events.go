package control

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Event is something that has happened to an instance, or, each second, its status. One of the fields behind Time is set.
type Event struct {
	Time    time.Time       `json:"time"`
	State   string          `json:"state,omitempty"`
	Phase   string          `json:"phase,omitempty"`
	Notice  string          `json:"notice,omitempty"`
	Verdict json.RawMessage `json:"verdict,omitempty"`
	Status  *Status         `json:"status,omitempty"`
}

// backlog is how many events a listener may be behind. One that is further behind is cut
// off: nobody waits for it, and it costs no more than this.
const backlog = 64

// feed hands events to all who listen.
type feed struct {
	mu     sync.Mutex
	ears   map[chan Event]bool
	closed bool
}

// listen returns a channel that is closed at the end, or when its reader is too slow.
func (f *feed) listen() chan Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	ear := make(chan Event, backlog)
	if f.closed {
		close(ear)
		return ear
	}
	if f.ears == nil {
		f.ears = make(map[chan Event]bool)
	}
	f.ears[ear] = true
	return ear
}

func (f *feed) tell(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ear := range f.ears {
		select {
		case ear <- e:
		default:
			f.deafen(ear)
		}
	}
}

// leave ends one channel; it may have ended.
func (f *feed) leave(ear chan Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deafen(ear)
}

// close ends all channels, behind what was told.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for ear := range f.ears {
		f.deafen(ear)
	}
}

// deafen ends a channel. f.mu is held.
func (f *feed) deafen(ear chan Event) {
	if f.ears[ear] {
		delete(f.ears, ear)
		close(ear)
	}
}

// Tell tells whoever follows the instance. It does not wait for them.
func (e *Endpoint) Tell(ev Event) {
	ev.Time = time.Now()
	e.feed.tell(ev)
}

// tellEvents answers with the status, and then each event on a line of its own, until the
// instance has ended.
func (e *Endpoint) tellEvents(w http.ResponseWriter, r *http.Request) {
	ear := e.feed.listen()
	defer e.feed.leave(ear)
	each := time.NewTicker(time.Second)
	defer each.Stop()
	out, ctl := json.NewEncoder(w), http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	for next, more := e.progress(), true; more; {
		ctl.SetWriteDeadline(time.Now().Add(patience))
		if out.Encode(next) != nil || ctl.Flush() != nil {
			return
		}
		select {
		case next, more = <-ear:
		case <-each.C:
			next = e.progress()
		case <-r.Context().Done():
			return
		}
	}
}

func (e *Endpoint) progress() Event {
	s := e.status()
	return Event{Time: time.Now(), Status: &s}
}
