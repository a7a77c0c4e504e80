package overlap

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ba995850/overlap/internal/listen"
)

// fakePort is a port whose kernel does as the test says.
type fakePort struct {
	calls   []string
	steer   func() error
	alone   func() bool
	settle  []error        // what the first calls of Settle return
	pending listen.Pending // what Settle finds, until its time is over
	queued  int            // what Leave finds
	arrive  int            // how many are accepted while it leaves
	left    bool
	untaken bool // the server does not come back to Accept
	joins   error
}

func (f *fakePort) Addr() net.Addr { return &net.TCPAddr{Port: 80} }

func (f *fakePort) Accepted() int {
	if f.left {
		return f.arrive
	}
	return 0
}

func (f *fakePort) Join() error { f.calls = append(f.calls, "join"); return f.joins }
func (f *fakePort) Rest() error { f.calls = append(f.calls, "rest"); return nil }

func (f *fakePort) Steer() error {
	f.calls = append(f.calls, "steer")
	if f.steer == nil {
		return nil
	}
	return f.steer()
}

func (f *fakePort) Alone() bool { return f.alone != nil && f.alone() }

func (f *fakePort) Settle(ctx context.Context) (listen.Pending, int, error) {
	f.calls = append(f.calls, "settle")
	if len(f.settle) > 0 {
		err := f.settle[0]
		f.settle = f.settle[1:]
		return listen.Pending{}, 0, err
	}
	if f.pending != (listen.Pending{}) {
		<-ctx.Done()
	}
	return f.pending, 0, nil
}

func (f *fakePort) Leave() (int, error) {
	f.calls = append(f.calls, "leave")
	f.left = true
	return f.queued, nil
}

func (f *fakePort) Exhausted() <-chan struct{} {
	done := make(chan struct{})
	if !f.untaken {
		close(done)
	}
	return done
}

// departs runs a departure of the ports in virtual time.
func departs(t *testing.T, opts Options, undo <-chan struct{}, ports ...*fakePort) (*departure, error) {
	t.Helper()
	return departsIf(t, func() bool { return false }, opts, undo, ports...)
}

// departsIf runs one that leaves to a successor only, while only says so.
func departsIf(t *testing.T, only func() bool, opts Options, undo <-chan struct{}, ports ...*fakePort) (*departure, error) {
	t.Helper()
	opts = opts.withDefaults()
	d := &departure{
		opts: &opts, life: &life{opts: &opts, state: StateRetiring}, began: time.Now(), undo: undo,
		told: func() {}, untold: func() {}, only: only,
		verdict: Verdict{Retired: true, Tier: Tier{Lossless: true}},
	}
	for _, p := range ports {
		d.ports = append(d.ports, p)
	}
	ctx, stop := context.WithTimeout(t.Context(), opts.DrainTimeout)
	defer stop()
	err := d.leave(ctx)
	d.verdict.judge()
	return d, err
}

func wantCalls(t *testing.T, p *fakePort, want ...string) {
	t.Helper()
	if !slices.Equal(p.calls, want) {
		t.Errorf("the port was asked to %v, want %v", p.calls, want)
	}
}

func TestADepartureSteersSettlesAndLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{}
		d, err := departs(t, Options{}, nil, p)
		if err != nil || !d.verdict.Lossless || !d.verdict.Successor {
			t.Errorf("%+v, %v", d.verdict, err)
		}
		wantCalls(t, p, "steer", "settle", "leave")
	})
}

func TestWithoutASuccessorADepartureGivesUpInTimeForAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notices := 0
		opts := Options{
			DrainTimeout: 20 * time.Second, FinishTimeout: 3 * time.Second,
			OnNotice: func(string) { notices++ },
		}
		p := &fakePort{steer: func() error { return errors.New("nobody is ready") }}
		began := time.Now()
		d, err := departs(t, opts, nil, p)
		if took := time.Since(began); took != 20*time.Second-3*time.Second-stopTime {
			t.Errorf("gave up after %v", took)
		}
		if err != nil || d.verdict.Successor || d.verdict.Lossless || !strings.Contains(d.verdict.Reason, "nobody is ready") {
			t.Errorf("%+v, %v", d.verdict, err)
		}
		if notices != 2 { // waiting for one, leaving without
			t.Errorf("the operator was told %d times", notices)
		}
	})
}

func TestADepartureLooksAgainUntilASuccessorIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		p := &fakePort{steer: func() error {
			if tries++; tries < 5 {
				return errors.New("not yet")
			}
			return nil
		}}
		d, err := departs(t, Options{}, nil, p)
		if err != nil || !d.verdict.Lossless || d.verdict.Reason != "" {
			t.Errorf("%+v, %v", d.verdict, err)
		}
		if took := d.verdict.Phases[PhaseSteer]; took < 4*retryEvery/2 || took > 4*retryEvery*3/2 {
			t.Errorf("4 looks in vain took %v", took)
		}
	})
}

func TestOfSeveralPortsAllAreSteeredOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		first, second := &fakePort{}, &fakePort{steer: func() error {
			if tries++; tries == 1 {
				return errors.New("not on this one yet")
			}
			return nil
		}}
		if _, err := departs(t, Options{}, nil, first, second); err != nil {
			t.Error(err)
		}
		wantCalls(t, first, "steer", "join", "steer", "settle", "leave")
		wantCalls(t, second, "steer", "steer", "settle", "leave") // it was in all the time
	})
}

func TestASuccessorThatGoesWhileWeSettleIsNotLeftTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		p := &fakePort{alone: func() bool { looks++; return looks == 1 }}
		d, err := departs(t, Options{}, nil, p)
		if err != nil || !d.verdict.Lossless {
			t.Errorf("%+v, %v", d.verdict, err)
		}
		wantCalls(t, p, "steer", "settle", "join", "steer", "settle", "leave")
	})
}

func TestAPortThatConnectionsStillReachIsNotLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{settle: []error{listen.ErrReached}}
		d, err := departs(t, Options{}, nil, p)
		if err != nil || !d.verdict.Lossless {
			t.Errorf("%+v, %v", d.verdict, err)
		}
		wantCalls(t, p, "steer", "settle", "join", "steer", "settle", "leave")
	})
}

func TestAfterItsSuccessorHasGoneADepartureWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, looks := 0, 0
		p := &fakePort{
			alone: func() bool { looks++; return looks == 1 },
			steer: func() error {
				if tries++; tries > 1 && tries < 6 {
					return listen.ErrAlone
				}
				return nil
			},
		}
		d, err := departs(t, Options{}, nil, p)
		if err != nil || !d.verdict.Lossless || tries != 6 {
			t.Errorf("after %d looks %+v, %v", tries, d.verdict, err)
		}
	})
}

func TestAfterItsSuccessorHasGoneADepartureGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		p := &fakePort{
			alone: func() bool { return true },
			steer: func() error {
				if tries++; tries > 1 {
					return listen.ErrAlone
				}
				return nil
			},
		}
		began := time.Now()
		d, err := departs(t, Options{}, nil, p)
		if took := time.Since(began); took != DefaultDrainTimeout-DefaultFinishTimeout-stopTime {
			t.Errorf("gave up after %v", took)
		}
		if err != nil || d.verdict.Successor {
			t.Errorf("%+v, %v", d.verdict, err)
		}
	})
}

func TestADepartureThatIsTakenBackIsInRotationAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		undo := make(chan struct{})
		time.AfterFunc(3*time.Second, func() { close(undo) })
		p := &fakePort{steer: func() error { return errors.New("nobody is ready") }}
		_, err := departs(t, Options{}, undo, p)
		if !errors.Is(err, errTakenBack) {
			t.Errorf("got %v", err)
		}
		if last := p.calls[len(p.calls)-1]; last != "join" || slices.Contains(p.calls, "leave") {
			t.Errorf("the port was asked to %v", p.calls)
		}
	})
}

func TestADepartureThatSettlesIsTakenBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		undo, began := make(chan struct{}), time.Now()
		time.AfterFunc(time.Second, func() { close(undo) })
		slow, other := &fakePort{pending: listen.Pending{HalfOpen: 1}}, &fakePort{}
		d, err := departs(t, Options{}, undo, slow, other)
		if took := time.Since(began); !errors.Is(err, errTakenBack) || took != time.Second {
			t.Errorf("after %v of %v: %v", took, d.opts.SettleTimeout, err)
		}
		wantCalls(t, slow, "steer", "settle", "join")
		wantCalls(t, other, "steer", "settle", "join")
	})
}

func TestWhatIsStillPendingAtTheEndOfSettleTimeoutIsAbandonedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{pending: listen.Pending{HalfOpen: 2, Queued: 3}, queued: 3}
		d, err := departs(t, Options{SettleTimeout: 4 * time.Second}, nil, p)
		if took := d.verdict.Phases[PhaseSettle]; took != 4*time.Second {
			t.Errorf("settling took %v", took)
		}
		if err != nil || d.verdict.Abandoned != 5 || d.verdict.Lossless {
			t.Errorf("%+v, %v", d.verdict, err)
		}
	})
}

func TestOneThatIsAloneDoesNotWaitForAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{
			steer: func() error { return listen.ErrAlone },
			alone: func() bool { return true },
		}
		began := time.Now()
		d, err := departs(t, Options{}, nil, p)
		if took := time.Since(began); err != nil || took != 0 {
			t.Errorf("took %v, %v", took, err)
		}
		if d.verdict.Successor || !strings.Contains(d.verdict.Reason, listen.ErrAlone.Error()) || !d.verdict.Lossless {
			t.Errorf("%+v", d.verdict)
		}
		wantCalls(t, p, "steer", "settle", "leave")
	})
}

func TestOneThatIsAloneDoesNotWaitForWhatKeepsComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{
			steer:   func() error { return listen.ErrAlone },
			pending: listen.Pending{Queued: 1}, queued: 1, arrive: 3,
		}
		began := time.Now()
		d, err := departs(t, Options{}, nil, p)
		if took := time.Since(began); err != nil || took != stopSettle {
			t.Errorf("took %v, %v", took, err)
		}
		if d.verdict.Lossless || d.verdict.Abandoned != 1 {
			t.Errorf("connections were lost, and the verdict is %+v", d.verdict)
		}
	})
}

// always returns an error that a port returns for ever.
func always(err error) []error { return slices.Repeat([]error{err}, 1000) }

func TestADepartureThatNeverSettlesEndsInTimeAndSaysSo(t *testing.T) {
	for _, cause := range []error{listen.ErrReached, errors.New("read /proc/self/net/tcp: input/output error")} {
		synctest.Test(t, func(t *testing.T) {
			p := &fakePort{settle: always(cause), queued: 7}
			began := time.Now()
			d, err := departs(t, Options{}, nil, p)
			if took := time.Since(began); err != nil || took != DefaultDrainTimeout-DefaultFinishTimeout-stopTime {
				t.Errorf("took %v, %v", took, err)
			}
			if d.verdict.Lossless || d.verdict.Abandoned != 7 || !strings.Contains(d.verdict.Reason, cause.Error()) {
				t.Errorf("%+v", d.verdict)
			}
			if last := p.calls[len(p.calls)-1]; last != "leave" {
				t.Errorf("the port was asked to %v last", last)
			}
		})
	}
}

func TestAPortWithoutASuccessorDoesNotHurryTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		public := &fakePort{pending: listen.Pending{HalfOpen: 1}}
		admin := &fakePort{steer: func() error { return listen.ErrAlone }, alone: func() bool { return true }}
		d, err := departs(t, Options{}, nil, public, admin)
		if err != nil || d.verdict.Successor || len(d.steered) != 1 {
			t.Errorf("%+v, %v", d.verdict, err)
		}
		if took := d.verdict.Phases[PhaseSettle]; took != DefaultSettleTimeout {
			t.Errorf("the port with a successor had %v to settle", took)
		}
	})
}

func TestAPortThatSomebodyElseHasClosedIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := departs(t, Options{}, nil, &fakePort{steer: func() error { return net.ErrClosed }})
		if took := time.Since(began); !errors.Is(err, net.ErrClosed) || took != 0 {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestAShortDrainTimeoutLeavesTimeToLinger(t *testing.T) {
	opts := Options{DrainTimeout: 4 * time.Second}.withDefaults()
	if opts.FinishTimeout != 2*time.Second {
		t.Errorf("of 4 s, %v are for the last step", opts.FinishTimeout)
	}
}

func TestConnectionsThatTheServerDoesNotTakeAreDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := departs(t, Options{}, nil, &fakePort{untaken: true})
		if took := d.verdict.Phases[PhaseClose]; took != DefaultDrainTimeout || d.verdict.Lossless {
			t.Errorf("after %v %+v", took, d.verdict)
		}
	})
}

func TestADeadlineThatComesEarlierTakesThePlaceOfDrainTimeout(t *testing.T) {
	for _, test := range []struct {
		opts          Options
		ctx           time.Duration // 0: it has none
		drain, finish time.Duration
	}{
		{Options{}, 0, DefaultDrainTimeout, DefaultFinishTimeout},
		{Options{}, time.Minute, DefaultDrainTimeout, DefaultFinishTimeout},
		{Options{}, 20 * time.Second, 20 * time.Second, DefaultFinishTimeout},
		{Options{}, 4 * time.Second, 4 * time.Second, 2 * time.Second},
		{Options{FinishTimeout: time.Second}, 4 * time.Second, 4 * time.Second, time.Second},
		{Options{DrainTimeout: time.Minute}, 50 * time.Second, 50 * time.Second, DefaultFinishTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if test.ctx != 0 {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, test.ctx)
				defer stop()
			}
			if o := test.opts.within(ctx); o.DrainTimeout != test.drain || o.FinishTimeout != test.finish {
				t.Errorf("%+v within %v: %v, of it %v for the last step", test.opts, test.ctx, o.DrainTimeout, o.FinishTimeout)
			}
		})
	}
}
