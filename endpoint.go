package overlap

import (
	"os"
	"strings"
	"time"

	"github.com/ba995850/overlap/internal/control"
	"github.com/ba995850/overlap/internal/listen"
)

// openEndpoint lets operators see what lives, and tell it what to do, until the function
// that it returns is called. Where that cannot be, a notice says so: the instance serves
// all the same.
func (l *life) openEndpoint(inst control.Instance) (close func()) {
	if l.opts.NoEndpoint {
		return func() {}
	}
	e, err := control.Open(inst, l.opts.Private)
	if err != nil {
		l.notice("nobody can ask this instance for its status: %v", err)
		return func() {}
	}
	l.endpoint = e
	return func() { e.Close() }
}

// status is what there is to say of each life, and of what it listens on. Its state is asked
// first: who is told that it serves is told where, too.
func (l *life) status(listeners func() []*listen.Listener) control.Status {
	state, phase := l.now()
	lns := listeners()
	tier := tierOf(lns)
	program, _ := os.Executable()
	ports := portsShown(lns)
	addrs := make([]string, len(ports))
	for i, p := range ports {
		addrs[i] = p.Addr
	}
	return control.Status{
		Release: l.opts.Release,
		PID:     os.Getpid(),
		UID:     os.Geteuid(),
		Program: program,
		State:   state.String(),
		Phase:   string(phase),
		Tier:    tier.String(),
		Why:     tier.Why,
		Addr:    strings.Join(addrs, ","),
		Ports:   ports,
		Sockets: listen.Sockets(),
	}
}

// portsShown are what the listeners listen on, or have.
func portsShown(lns []*listen.Listener) []control.Port {
	ports := make([]control.Port, len(lns))
	for i, ln := range lns {
		standing, _ := ln.Standing() // of one that has left there is none
		ports[i] = control.Port{
			Addr: ln.Addr().String(), Pinned: standing.Joined, Accepted: standing.Accepted,
			HalfOpen: standing.Pending.HalfOpen, Queued: standing.Pending.Queued,
			Others: len(standing.Others), Members: standing.Others,
		}
	}
	return ports
}

// endpoint is an instance as its control endpoint shows it.
type endpoint struct{ *Instance }

// Status says what the instance is doing.
func (e endpoint) Status() control.Status {
	count := e.conns.Count()
	s := e.life.status(e.listeners)
	for i := range s.Ports {
		s.Ports[i].TLS = e.tls[i]
	}
	s.Started, s.Deadline, s.Requests = e.started, e.cutAt(), e.Requests()
	s.Oldest = e.conns.Oldest().Seconds()
	s.Connections = control.Connections{
		Fresh: count.Fresh, Active: count.Active, Idle: count.Idle, Hijacked: count.Hijacked, Closing: count.Closing,
	}
	return s
}

// Knock makes new connections to each port until one has come to us.
func (e endpoint) Knock() error { return rotation{&e.life, e.listeners()}.knock() }

// listeners are what the instance listens on, once it does.
func (inst *Instance) listeners() []*listen.Listener {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	return inst.lns
}

// cutAt is when what is left is cut; zero while the instance does not retire.
func (inst *Instance) cutAt() time.Time {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.left.IsZero() {
		return time.Time{}
	}
	return inst.left.Add(inst.opts.DrainTimeout)
}
