package listen

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Broken on purpose, and seen red:
//   - a new socket is pinned without Join
//   - Join pins nothing
//   - unpin does nothing and Steer does not look
//   - a socket for the first CPU only

// walk is a group whose members come and go at random, and what the design says
// of it: connections land at the members that are pinned if there are any, at all
// of them if there are none, and nowhere else.
type walk struct {
	t       *testing.T
	rand    *rand.Rand
	address string
	members []*member
	pinned  map[*member]bool
	steered map[*member]bool
	unused  string // names
}

const (
	walkSteps  = 40
	walkConns  = 240
	minMembers = 2
	maxMembers = 6
)

func TestARandomWalkOfAGroupLosesNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	w := &walk{t: t, rand: rand.New(rand.NewPCG(seed, 0)), address: loopback, pinned: make(map[*member]bool), steered: make(map[*member]bool)}
	for c := 'A'; c <= 'Z'; c++ {
		w.unused += string(c) + string(c+'a'-'A')
	}
	defer func() {
		if t.Failed() {
			t.Logf("the seed was %d", seed)
		}
	}()
	for range minMembers {
		w.appear()
	}
	moves := []func() string{w.appear, w.appear, w.join, w.join, w.steer, w.steer, w.leave, w.leave, w.takeBack, w.die}
	for done := 0; done < walkSteps; {
		what := moves[w.rand.IntN(len(moves))]()
		if what == "" {
			continue // not possible at the moment
		}
		done++
		t.Logf("%2d: %s; of %s pinned: %q", done, what, w.names(nil), w.names(w.pinned))
		names := w.names(w.pinned)
		if names == "" {
			names = w.names(nil)
		}
		land(t, w.address, walkConns).expect(t, walkConns, names)
	}
}

// names of the members, or of those of them that are in a set.
func (w *walk) names(in map[*member]bool) (names string) {
	for _, m := range w.members {
		if in == nil || in[m] {
			names += m.name
		}
	}
	return names
}

// pick returns one of the members for which it holds, or nil.
func (w *walk) pick(holds func(*member) bool) *member {
	var some []*member
	for _, m := range w.members {
		if holds(m) {
			some = append(some, m)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[w.rand.IntN(len(some))]
}

func (w *walk) appear() string {
	if len(w.members) == maxMembers {
		return ""
	}
	name := w.unused[:1]
	w.unused = w.unused[1:]
	m := serving(w.t, name, "tcp4", w.address)
	w.address = m.Addr().String()
	w.members = append(w.members, m)
	return name + " appears"
}

func (w *walk) join() string {
	m := w.pick(func(m *member) bool { return !w.pinned[m] && !w.steered[m] })
	if m == nil {
		return ""
	}
	m.join(w.t)
	w.pinned[m] = true
	return m.name + " joins"
}

// steer succeeds exactly if somebody else is pinned.
func (w *walk) steer() string {
	m := w.pick(func(m *member) bool { return !w.steered[m] })
	if m == nil {
		return ""
	}
	successor := w.pick(func(o *member) bool { return o != m && w.pinned[o] })
	err := m.Steer()
	switch {
	case successor == nil && (err == nil || errors.Is(err, ErrAlone)):
		w.t.Fatalf("%s steers and nobody else is pinned: %v", m.name, err)
	case successor == nil:
		return m.name + " cannot steer"
	case err != nil:
		w.t.Fatalf("%s steers and %s is pinned: %v", m.name, successor.name, err)
	}
	delete(w.pinned, m)
	w.steered[m] = true
	return m.name + " steers"
}

func (w *walk) takeBack() string {
	m := w.pick(func(m *member) bool { return w.steered[m] })
	if m == nil {
		return ""
	}
	m.join(w.t)
	delete(w.steered, m)
	w.pinned[m] = true
	return m.name + " is taken back"
}

func (w *walk) leave() string {
	m := w.pick(func(m *member) bool { return w.steered[m] })
	if m == nil || len(w.members) == minMembers {
		return ""
	}
	m.settle(w.t)
	m.leave(w.t)
	w.remove(m)
	return m.name + " leaves"
}

func (w *walk) die() string {
	if len(w.members) == minMembers {
		return ""
	}
	m := w.pick(func(*member) bool { return true })
	m.die(w.t)
	w.remove(m)
	return m.name + " dies"
}

func (w *walk) remove(m *member) {
	w.members = slices.DeleteFunc(w.members, func(o *member) bool { return o == m })
	delete(w.pinned, m)
	delete(w.steered, m)
	w.unused = strings.ReplaceAll(w.unused, m.name, "")
}
