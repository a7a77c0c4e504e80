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
	if err := inst.life.mayTurn(to); err != nil {
		return err
	}
	t := turn{to: to, done: make(chan error, 1)}
	select {
	case inst.turns <- t:
		if err := <-t.done; err != nil {
			return fmt.Errorf("overlap: %w", err)
		}
		return nil
	case <-inst.orders.retireAsked():
		return fmt.Errorf("overlap: an instance that is told to retire cannot become %v", to)
	case <-inst.over:
		return fmt.Errorf("overlap: an instance that has ended cannot become %v", to)
	}
}

// mayTurn says whether it is ready, and not on its way out.
func (l *life) mayTurn(to State) error {
	if from, _ := l.now(); from != StateDark && from != StateServing {
		return fmt.Errorf("overlap: an instance that is %v cannot become %v", from, to)
	}
	return nil
}

// rotation is the part that listeners take in their groups. It is for one goroutine at a time.
type rotation struct {
	life *life
	lns  []*listen.Listener
}

func (inst *Instance) rotation() rotation { return rotation{&inst.life, inst.lns} }

// begin is the first turn: into the rotation, unless the options say dark.
func (r rotation) begin() error {
	to := StateServing
	if r.life.opts.Dark {
		to = StateDark
	}
	return r.turn(to)
}

// turn goes into the rotation, or out of it.
func (r rotation) turn(to State) error {
	if from, _ := r.life.now(); from == to {
		return nil
	}
	if err := r.take(to); err != nil {
		return err
	}
	return r.life.advance(to)
}

// take makes all listeners take their part, or none.
func (r rotation) take(to State) error {
	if to == StateServing {
		return r.each((*listen.Listener).Join)
	}
	if t := tierOf(r.lns); !t.Lossless {
		return fmt.Errorf("it would get connections all the same: %s", t.Why)
	}
	if from, _ := r.life.now(); from == StateStarting {
		r.noteLonely() // and there is nothing to leave
		return nil
	}
	if err := r.each((*listen.Listener).Steer); err != nil {
		return errors.Join(err, r.each((*listen.Listener).Join))
	}
	return r.each((*listen.Listener).Rest)
}

// each does something with one after the other, up to the first error.
func (r rotation) each(do func(*listen.Listener) error) error {
	for _, ln := range r.lns {
		if err := do(ln); err != nil {
			return fmt.Errorf("%v: %w", ln.Addr(), err)
		}
	}
	return nil
}

// noteLonely says where a dark instance is not: alone on a port.
func (r rotation) noteLonely() {
	for _, ln := range r.lns {
		if ln.Alone() {
			r.life.notice("dark, and alone on %v: the kernel hands it all new connections until another instance is in rotation", ln.Addr())
		}
	}
}

// knock makes new connections to each port until one has come to us.
func (r rotation) knock() error { return r.each((*listen.Listener).Knock) }
