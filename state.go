package overlap

import (
	"fmt"
	"slices"
)

// State is where an instance is in its life. It goes one way, but for stepping out of the
// rotation and in again, and for a retirement that is taken back while the listeners are
// still open:
//
//	starting ──> dark <──> serving <──> retiring ──> drained
//	    └─────────┴───────────┴──────────────────────^
type State int

const (
	StateStarting State = iota // not in rotation yet
	StateDark                  // ready, and not in rotation: see Options.Dark
	StateServing               // in rotation: the kernel hands it connections
	StateRetiring              // told to leave: see Phase
	StateDrained               // holds nothing any more
)

// states names each state and says what may follow it, in one place so that the
// two cannot drift apart.
var states = [...]struct {
	name string
	next []State
}{
	StateStarting: {"starting", []State{StateDark, StateServing, StateDrained}},
	StateDark:     {"dark", []State{StateServing, StateRetiring, StateDrained}},
	StateServing:  {"serving", []State{StateDark, StateRetiring, StateDrained}},
	StateRetiring: {"retiring", []State{StateDark, StateServing, StateDrained}},
	StateDrained:  {"drained", nil},
}

// String returns the state's name as logs and docs write it.
func (s State) String() string {
	if s < 0 || int(s) >= len(states) {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return states[s].name
}

func (s State) mayBecome(next State) bool { return slices.Contains(states[s].next, next) }

// Phase is what a retiring instance is doing. An instance that is not retiring
// has the empty phase.
type Phase string

// The phases of a retirement, in their order. PhaseCut is reached only when the
// deadline passes with something left.
const (
	PhaseSteer  Phase = "steer"  // make new connections go to other members
	PhaseSettle Phase = "settle" // accept what the kernel still holds for us
	PhaseClose  Phase = "close"  // leave the group
	PhaseLinger Phase = "linger" // move keep-alive clients over
	PhaseFinish Phase = "finish" // http.Server.Shutdown
	PhaseFlush  Phase = "flush"  // wait until all that was sent is acknowledged
	PhaseCut    Phase = "cut"    // close what is left
)

// Phases returns all phases in their order, for who shows them. A retirement may skip some:
// see Verdict.Phases.
func Phases() []Phase {
	return []Phase{PhaseSteer, PhaseSettle, PhaseClose, PhaseLinger, PhaseFinish, PhaseFlush, PhaseCut}
}
