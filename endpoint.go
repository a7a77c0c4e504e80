package overlap

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// openEndpoint lets operators see the instance and tell it what to do, until the function
// that it returns is called. Where that cannot be, a notice says so: the instance serves
// all the same.
func (inst *Instance) openEndpoint() (close func()) {
	if inst.opts.NoEndpoint {
		return func() {}
	}
	e, err := control.Open(endpoint{inst}, inst.opts.Private)
	if err != nil {
		inst.life.notice("nobody can ask this instance for its status: %v", err)
		return func() {}
	}
	inst.life.endpoint = e
	return func() { e.Close() }
}

// endpoint is an instance as its control endpoint shows it.
type endpoint struct{ *Instance }

// Status says what the instance is doing.
func (e endpoint) Status() control.Status {
	state, phase := e.life.now()
	tier := e.Tier()
	program, _ := os.Executable()
	count := e.conns.Count()
	s := control.Status{
		Release:  e.opts.Release,
		PID:      os.Getpid(),
		UID:      os.Geteuid(),
		Program:  program,
		Started:  e.started,
		State:    state.String(),
		Phase:    string(phase),
		Deadline: e.cutAt(),
		Tier:     tier.String(),
		Why:      tier.Why,
		Ports:    e.ports(),
		Requests: e.Requests(),
		Connections: control.Connections{
			Fresh: count.Fresh, Active: count.Active, Idle: count.Idle, Hijacked: count.Hijacked, Closing: count.Closing,
		},
	}
	addrs := make([]string, len(s.Ports))
	for i, p := range s.Ports {
		addrs[i] = p.Addr
	}
	s.Addr = strings.Join(addrs, ",")
	return s
}

// ports are what the instance listens on, or has.
func (e endpoint) ports() []control.Port {
	e.mu.Lock()
	lns := e.lns
	e.mu.Unlock()
	ports := make([]control.Port, len(lns))
	for i, ln := range lns {
		standing, _ := ln.Standing() // of one that has left there is none
		ports[i] = control.Port{
			Addr: ln.Addr().String(), Pinned: standing.Joined, Accepted: standing.Accepted,
			HalfOpen: standing.Pending.HalfOpen, Queued: standing.Pending.Queued, Others: standing.Others,
		}
	}
	return ports
}

// Knock makes new connections to each port until one has come to us.
func (e endpoint) Knock() error {
	e.mu.Lock()
	lns := e.lns
	e.mu.Unlock()
	var errs []error
	for _, ln := range lns {
		if err := ln.Knock(); err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", ln.Addr(), err))
		}
	}
	return errors.Join(errs...)
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
