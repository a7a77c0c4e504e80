package overlap

import (
	"errors"
	"fmt"

	"github.com/ba995850/overlap/internal/listen"
)

// turn is somebody's wish that a ready instance be in the rotation, or dark.
type turn struct {
	to   State
	done chan error
}

// Pin puts a dark instance into the rotation: from then on it gets its share of the new
// connections. On one that serves it changes nothing. It returns an error where the
// instance is in neither of these states.
func (inst *Instance) Pin() error { return inst.ask(StateServing) }

// Unpin takes an instance out of the rotation without retiring it: the connections that it
// has go on, new ones go to the other instances, and [Instance.Pin] brings it back. It
// returns an error, and nothing has changed, where no other instance takes over, or this
// host cannot steer.
func (inst *Instance) Unpin() error { return inst.ask(StateDark) }

// ask has it done where the instance is served.
func (inst *Instance) ask(to State) error {
	if from := inst.State(); from != StateDark && from != StateServing {
		return fmt.Errorf("overlap: an instance that is %v cannot become %v", from, to)
	}
	t := turn{to: to, done: make(chan error, 1)}
	select {
	case inst.turns <- t:
		return <-t.done
	case <-inst.retireAsked():
		return fmt.Errorf("overlap: an instance that is told to retire cannot become %v", to)
	case <-inst.over:
		return fmt.Errorf("overlap: an instance that has ended cannot become %v", to)
	}
}

// turn goes into the rotation, or out of it.
func (inst *Instance) turn(to State) error {
	if inst.State() == to {
		return nil
	}
	if err := inst.take(to); err != nil {
		return fmt.Errorf("overlap: %w", err)
	}
	return inst.life.advance(to)
}

// take makes all ports take their part, or none. It is what an instance that starts does,
// too: then there is nothing to leave.
func (inst *Instance) take(to State) error {
	if to == StateServing {
		return inst.eachPort((*listen.Listener).Join)
	}
	if t := inst.Tier(); !t.Lossless {
		return fmt.Errorf("it would get connections all the same: %s", t.Why)
	}
	if inst.State() == StateStarting {
		inst.noteLonely()
		return nil
	}
	if err := inst.eachPort((*listen.Listener).Steer); err != nil {
		return errors.Join(err, inst.eachPort((*listen.Listener).Join))
	}
	return inst.eachPort((*listen.Listener).Rest)
}

func (inst *Instance) eachPort(do func(*listen.Listener) error) error {
	for _, ln := range inst.lns {
		if err := do(ln); err != nil {
			return fmt.Errorf("%v: %w", ln.Addr(), err)
		}
	}
	return nil
}

// noteLonely says where a dark instance is not: alone on a port.
func (inst *Instance) noteLonely() {
	for _, ln := range inst.lns {
		if ln.Alone() {
			inst.life.notice("dark, and alone on %v: the kernel hands it all new connections until another instance is in rotation", ln.Addr())
		}
	}
}
