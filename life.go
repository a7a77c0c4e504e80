package overlap

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/ba995850/overlap/internal/control"
	"github.com/ba995850/overlap/internal/listen"
)

// life is the state of an instance. Only advance and enter write it.
type life struct {
	opts     *Options
	endpoint *control.Endpoint // nil: there is none

	telling sync.Mutex // one hook at a time, in the order of the events

	mu    sync.Mutex
	state State
	phase Phase
}

// advance makes the next state the present one.
func (l *life) advance(to State) error {
	l.telling.Lock()
	defer l.telling.Unlock()
	from, err := l.set(to)
	if err == nil {
		l.tell(control.Event{State: to.String()})
	}
	if err == nil && l.opts.OnState != nil {
		l.opts.OnState(from, to)
	}
	return err
}

func (l *life) set(to State) (from State, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from = l.state
	if !from.mayBecome(to) {
		return from, fmt.Errorf("overlap: an instance that is %v cannot become %v", from, to)
	}
	l.state, l.phase = to, ""
	return from, nil
}

// enter begins a phase of the retirement, unless it has begun.
func (l *life) enter(p Phase) {
	l.telling.Lock()
	defer l.telling.Unlock()
	if !l.setPhase(p) {
		return
	}
	l.tell(control.Event{Phase: string(p)})
	if l.opts.OnPhase != nil {
		l.opts.OnPhase(p)
	}
}

func (l *life) setPhase(p Phase) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = l.phase != p
	l.phase = p
	return changed
}

func (l *life) notice(format string, args ...any) {
	l.telling.Lock()
	defer l.telling.Unlock()
	text := fmt.Sprintf(format, args...)
	l.tell(control.Event{Notice: text})
	if l.opts.OnNotice != nil {
		l.opts.OnNotice(text)
	}
}

func (l *life) deliver(v Verdict) {
	l.telling.Lock()
	defer l.telling.Unlock()
	text, _ := json.Marshal(v) // it has nothing in it that could fail
	l.tell(control.Event{Verdict: text})
	if l.opts.OnVerdict != nil {
		l.opts.OnVerdict(v)
	}
}

// tell tells those who follow at the endpoint.
func (l *life) tell(e control.Event) {
	if l.endpoint != nil {
		l.endpoint.Tell(e)
	}
}

// listenConfig is how to listen for this life.
func (l *life) listenConfig() listen.Config {
	return listen.Config{AllowMismatch: l.opts.AllowMismatch, Guard: l.guard}
}

func (l *life) now() (State, Phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.phase
}
