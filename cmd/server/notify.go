package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// tellEvery is how often systemd hears how far a retirement is.
	tellEvery = time.Second
	// extendBy is how long it then may be until the next time.
	extendBy = 3 * tellEvery
	// exitTime is kept for the way from the deadline of a retirement to the exit.
	exitTime = 2 * time.Second
	// farewell bounds the wait for a systemd that does not read, at our exit.
	farewell = time.Second
)

const notifyHelp = `systemd: as Type=notify it is started when it serves. Retiring, it says each second what
it is doing, and extends TimeoutStopSec until --drain-timeout has passed, so that needs no
tuning. It is stopping from the moment on when its listeners are closed; before, "server
retire --undo" takes the retirement back, but not one that "systemctl stop" has begun:
systemd will have its end. With WatchdogSec it gives a sign of life at half of that time,
also while it retires, if its instance answers at its own endpoint.`

// notifier tells systemd how the service is; sd_notify(3). Where nobody wants to know it is
// nil, and does nothing. Its methods do not wait: a systemd that does not read holds up
// nobody.
type notifier struct {
	ask      func(context.Context) (control.Status, error) // the instance
	log      *slog.Logger
	watchdog time.Duration // how often a sign of life is wanted; 0: never

	mu       sync.Mutex
	unsaid   tidings
	retiring bool
	closing  bool // its listeners are: there is no way back

	news    chan struct{} // something is unsaid
	leave   chan struct{} // closed by stop
	ended   chan struct{} // closed when all is said
	refused bool          // systemd could not be told, and the log has said so
}

// tidings are what one datagram says. A later one may be put on one that was not sent yet.
type tidings struct {
	ready, stopping, alive bool
	status                 string
	extend                 time.Duration
}

func (m tidings) String() string {
	var lines []string
	for _, l := range []struct {
		is   bool
		text string
	}{
		{m.ready, daemon.SdNotifyReady},
		{m.stopping, daemon.SdNotifyStopping},
		{m.alive, daemon.SdNotifyWatchdog},
		{m.status != "", "STATUS=" + m.status},
		{m.extend > 0, "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(m.extend.Microseconds(), 10)},
	} {
		if l.is {
			lines = append(lines, l.text)
		}
	}
	return strings.Join(lines, "\n")
}

// newNotifier returns nil where no systemd waits to be told.
func newNotifier(env env, log *slog.Logger, ask func(context.Context) (control.Status, error)) *notifier {
	if env.getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	n := &notifier{
		ask: ask, log: log,
		news: make(chan struct{}, 1), leave: make(chan struct{}), ended: make(chan struct{}),
	}
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd", slog.Any("error", err))
	}
	n.watchdog = within / 2 // sd_watchdog_enabled(3)
	go n.run()
	return n
}

// onState is told each state, and where the instance is. It is ready in the first one in
// which it is there at all.
func (n *notifier) onState(from, to overlap.State, place string) {
	n.tell(func(m *tidings) {
		n.retiring = to == overlap.StateRetiring
		switch to {
		case overlap.StateRetiring: // what it does is asked for
		case overlap.StateDrained: // the verdict has been told
		default:
			m.ready = m.ready || from == overlap.StateStarting
			m.status = to.String() + " " + place
		}
	})
}

// onPhase is told each phase. systemd has no way back from STOPPING: it kills whoever is
// still there after TimeoutStopSec (service_enter_stop_by_notify). So it does not hear that
// before there is none for us, either.
func (n *notifier) onPhase(p overlap.Phase) {
	n.tell(func(m *tidings) {
		m.stopping = m.stopping || !n.closing && !waiting(string(p))
		n.closing = n.closing || m.stopping
	})
}

func (n *notifier) onVerdict(v overlap.Verdict) {
	n.tell(func(m *tidings) { m.status = "drained: " + describe(v) })
}

// tell adds to what is unsaid, and has it said.
func (n *notifier) tell(more func(*tidings)) {
	if n == nil {
		return
	}
	n.add(more)
	select {
	case n.news <- struct{}{}:
	default: // there were news
	}
}

func (n *notifier) add(more func(*tidings)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	more(&n.unsaid)
}

// stop returns when all is said, or nobody listens.
func (n *notifier) stop() {
	if n == nil {
		return
	}
	close(n.leave)
	select {
	case <-n.ended:
	case <-time.After(farewell):
	}
}

func (n *notifier) run() {
	defer close(n.ended)
	second := time.NewTicker(tellEvery)
	defer second.Stop()
	life, stop := n.pulse()
	defer stop()
	for {
		select {
		case <-n.news:
			n.say()
			n.progress()
		case <-second.C:
			n.progress()
		case <-life:
			n.giveSign()
		case <-n.leave:
			n.say()
			return
		}
		n.say()
	}
}

// pulse returns a channel that says when a sign of life is due.
func (n *notifier) pulse() (<-chan time.Time, func()) {
	if n.watchdog <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(n.watchdog)
	return t.C, t.Stop
}

// progress tells what a retiring instance is doing, and asks for the time that it takes.
// One that does not answer gets no more time.
func (n *notifier) progress() {
	if !n.isRetiring() {
		return
	}
	s, err := n.askInTime(askTimeout)
	if err != nil || s.State != overlap.StateRetiring.String() {
		return
	}
	n.add(func(m *tidings) {
		if n.retiring { // still
			m.status, m.extend = progressOf(s, time.Now()), extension(s.Deadline, time.Now())
		}
	})
}

func (n *notifier) isRetiring() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.retiring
}

func progressOf(s control.Status, now time.Time) string {
	doing, c := s.State, s.Connections
	if s.Phase != "" {
		doing += ": " + s.Phase
	}
	return fmt.Sprintf("%s, %d busy, %d idle, cuts in %v", doing, c.Active+c.Hijacked, c.Fresh+c.Idle+c.Closing,
		max(0, s.Deadline.Sub(now)).Round(time.Second))
}

// extension is how much time a retirement may take from now on. systemd never shortens what
// it has given before (service_extend_event_source_timeout).
func extension(deadline, now time.Time) time.Duration {
	return min(extendBy, deadline.Add(exitTime).Sub(now))
}

// giveSign is the proof that we live: the instance answers at its own endpoint, so that is
// served, and no lock of the instance or of its connections is stuck. It has nearly until
// systemd loses patience: a machine that is busy is not stuck.
func (n *notifier) giveSign() {
	if _, err := n.askInTime(n.watchdog * 3 / 4); err != nil {
		n.log.Error("no sign of life to systemd", slog.Any("error", err))
		return
	}
	n.add(func(m *tidings) { m.alive = true })
}

func (n *notifier) askInTime(timeout time.Duration) (control.Status, error) {
	ctx, stop := context.WithTimeout(context.Background(), timeout)
	defer stop()
	return n.ask(ctx)
}

// say sends what is unsaid. It may wait for systemd to read. Only run calls it.
func (n *notifier) say() {
	n.mu.Lock()
	text := n.unsaid.String()
	n.unsaid = tidings{}
	n.mu.Unlock()
	if text == "" {
		return
	}
	if _, err := daemon.SdNotify(false, text); err != nil && !n.refused {
		n.refused = true
		n.log.Warn("systemd does not hear us", slog.Any("error", err))
	}
}

// mirror is where the instance of this process sees itself as others do.
type mirror struct {
	inst instance
	name string // of its endpoint, once that is known
}

// ask asks the endpoint. Where none could be opened, the instance itself is asked.
func (m *mirror) ask(ctx context.Context) (control.Status, error) {
	if m.name == "" {
		is, err := findOne(ctx, func(f control.Found) bool { return f.Here && f.PID == os.Getpid() })
		if err != nil || is.Err != nil {
			return is.Status, errors.Join(err, is.Err)
		}
		if is.Instance == "" {
			return control.Status{State: m.inst.State().String(), Phase: string(m.inst.Phase())}, nil
		}
		m.name = is.Instance
	}
	return control.Ask(ctx, m.name)
}
