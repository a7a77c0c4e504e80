package overlap

import (
	"slices"
	"testing"
)

func allStates() []State {
	all := make([]State, len(states))
	for i := range all {
		all[i] = State(i)
	}
	return all
}

func TestEveryStateHasANameOfItsOwn(t *testing.T) {
	seen := make(map[string]State)
	for _, s := range allStates() {
		if other, dup := seen[s.String()]; dup || s.String() == "" {
			t.Errorf("states %d and %d are both called %q", other, s, s)
		}
		seen[s.String()] = s
	}
}

// Forward, but for taking back, and for stepping out of the rotation.
func TestALifeGoesForwardOnly(t *testing.T) {
	back := map[State][]State{StateServing: {StateDark}, StateRetiring: {StateDark, StateServing}}
	for _, from := range allStates() {
		for _, to := range allStates() {
			if to <= from && from.mayBecome(to) != slices.Contains(back[from], to) {
				t.Errorf("%v may become %v", from, to)
			}
		}
	}
}

func TestEveryStateReachesDrained(t *testing.T) {
	for _, s := range allStates() {
		if s != StateDrained && !s.mayBecome(StateDrained) {
			t.Errorf("%v cannot become drained", s)
		}
	}
}

func TestALifeTellsEachChangeOnceAndRefusesOthers(t *testing.T) {
	var told []State
	l := life{opts: &Options{OnState: func(_, to State) { told = append(told, to) }}}
	for _, to := range []State{StateServing, StateServing, StateRetiring, StateServing, StateRetiring, StateDrained, StateServing} {
		_ = l.advance(to)
	}
	want := []State{StateServing, StateRetiring, StateServing, StateRetiring, StateDrained}
	if len(told) != len(want) {
		t.Fatalf("told %v, want %v", told, want)
	}
	for i := range want {
		if told[i] != want[i] {
			t.Fatalf("told %v, want %v", told, want)
		}
	}
}
