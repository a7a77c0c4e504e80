package listen

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

// Broken on purpose, and seen red:
//   - one look is enough to know what is pending: SettleTells
//   - expired is what was pending: SettleTells
//   - Settle does not wait: SettleTells, SettleGivesUp
//   - arrivals after Steer are not looked for: SettleTellsThatConnectionsArrive
//   - a failed Steer pins a dark member, or stays out: SteerPutsBack

// script is a kernel that tells what it is told to.
type script struct {
	ahead   []Pending // what pending returns, one after the other; the last one for ever
	looked  int
	look    func(n int) // called at the n-th look, from 0
	failure error
	alone   bool
	calls   []string
}

func (k *script) in() error                  { k.calls = append(k.calls, "in"); return nil }
func (k *script) away() error                { k.calls = append(k.calls, "away"); return k.failure }
func (k *script) rest() error                { k.calls = append(k.calls, "rest"); return nil }
func (k *script) knock() error               { return nil }
func (k *script) caught(netip.AddrPort) bool { return false }
func (k *script) release()                   {}
func (k *script) others() ([]uint64, error) {
	if k.alone {
		return nil, nil
	}
	return []uint64{1}, nil
}

func (k *script) standing() (Pending, []uint64, error) { return Pending{}, nil, nil }

func (k *script) pending() (Pending, error) {
	if k.look != nil {
		k.look(k.looked)
	}
	k.looked++
	p := k.ahead[0]
	if len(k.ahead) > 1 {
		k.ahead = k.ahead[1:]
	}
	return p, k.failure
}

func scripted(k *script) *Listener {
	return &Listener{kernel: k, queue: newQueue(), gone: make(chan struct{})}
}

func TestSettleTellsWhatExpiredFromWhatWasAccepted(t *testing.T) {
	none, three := Pending{}, Pending{HalfOpen: 2, Queued: 1}
	for _, c := range []struct {
		name     string
		ahead    []Pending
		accepted int // at the last look but one
		expired  int
	}{
		{"nothing was pending", []Pending{none}, 0, 0},
		{"all were accepted", []Pending{three, three, three, none}, 3, 0},
		{"none came back", []Pending{three, three, three, none}, 0, 3},
		{"some came back", []Pending{three, three, three, none}, 2, 1},
		{"more came than were seen", []Pending{three, three, three, none}, 5, 0},
		// ref counts a packet too that is just being processed.
		{"a transient one was seen", []Pending{{HalfOpen: 4}, three, three, three, none}, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &script{ahead: c.ahead}
			l := scripted(k)
			k.look = func(n int) {
				if n != len(c.ahead)-2 {
					return
				}
				for range c.accepted {
					conn, _ := pair(t)
					l.queue.push(conn)
				}
			}
			left, expired, err := l.Settle(t.Context())
			if left != none || expired != c.expired || err != nil {
				t.Errorf("%+v left, %d expired, %v; want %d expired", left, expired, err, c.expired)
			}
		})
	}
}

func TestSettleTellsThatConnectionsArriveAfterSteer(t *testing.T) {
	for _, c := range []struct {
		name    string
		steered bool
		want    error
	}{{"steered", true, ErrReached}, {"alone", false, nil}} {
		t.Run(c.name, func(t *testing.T) {
			three := Pending{Queued: 3}
			k := &script{ahead: []Pending{three, three, three, {}}}
			l := scripted(k)
			if l.tier.Lossless = true; c.steered {
				l.Steer()
			}
			k.look = func(n int) {
				if n == 2 {
					for range 3 + 4 { // 4 more than there were
						conn, _ := pair(t)
						l.queue.push(conn)
					}
				}
			}
			if _, _, err := l.Settle(t.Context()); !errors.Is(err, c.want) {
				t.Errorf("settled with %v, want %v", err, c.want)
			}
		})
	}
}

func TestSettleGivesUpWithItsContext(t *testing.T) {
	want := Pending{HalfOpen: 1, Queued: 2}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	left, expired, err := scripted(&script{ahead: []Pending{want}}).Settle(ctx)
	if left != want || expired != 0 || err != nil {
		t.Errorf("%+v left, %d expired, %v", left, expired, err)
	}
}

func TestSettleReturnsWhatTheKernelRefuses(t *testing.T) {
	refused := errors.New("refused")
	if _, _, err := scripted(&script{ahead: []Pending{{}}, failure: refused}).Settle(t.Context()); !errors.Is(err, refused) {
		t.Errorf("settled with %v", err)
	}
}

func TestSteerPutsBackOnlyWhatWasIn(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name   string
		join   bool
		script script
		want   error
		calls  int
	}{
		{"joined, refused", true, script{failure: refused}, refused, 3},
		{"dark, refused", false, script{failure: refused}, refused, 1},
		{"joined, alone", true, script{alone: true}, ErrAlone, 1},
		{"joined", true, script{}, nil, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := scripted(&c.script)
			if c.join {
				l.Join()
			}
			if err := l.Steer(); !errors.Is(err, c.want) {
				t.Errorf("steers, and got %v", err)
			}
			if len(c.script.calls) != c.calls {
				t.Errorf("called %v, want %d calls", c.script.calls, c.calls)
			}
			if wantUnbounded := c.want == nil; l.queue.unbounded != wantUnbounded {
				t.Errorf("unbounded is %v", l.queue.unbounded)
			}
		})
	}
}
