package overlap

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ba995850/overlap/internal/listen"
)

// Who is left to, and who is not.
//
// Broken on purpose, and seen red: whom an earlier try has seen is forgotten; one that is
// to leave to a successor leaves alone, or deserts; an order to retire changes nothing, or
// is softened; what cannot be put back is taken for what was taken back.

// steers returns what Steer says, one after the other; the last one for ever.
func steers(errs ...error) func() error {
	return func() error {
		err := errs[0]
		errs = errs[min(1, len(errs)-1):]
		return err
	}
}

var errStuck = errors.New("it does not accept")

// A new release dies when it is just ready: the old one has seen it, and is now alone.
func TestASuccessorThatDiesBeforeItHasTakenOverIsNotLeftTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{steer: steers(errStuck, listen.ErrAlone, listen.ErrAlone, nil)}
		d, err := departs(t, Options{}, nil, p)
		if err != nil || !d.verdict.Lossless || !d.verdict.Successor {
			t.Errorf("%+v, %v", d.verdict, err)
		}
		wantCalls(t, p, "steer", "steer", "steer", "steer", "settle", "leave")
	})
}

func TestAHandOverStaysWhereNobodyTakesOver(t *testing.T) {
	for name, errs := range map[string][]error{"alone": {listen.ErrAlone}, "stuck": {errStuck}, "one of them": {errStuck, listen.ErrAlone}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &fakePort{steer: steers(errs...)}
				began := time.Now()
				d, err := departsIf(t, func() bool { return true }, Options{DrainTimeout: 10 * time.Second, FinishTimeout: time.Second}, nil, p)
				if !errors.Is(err, errTakenBack) {
					t.Errorf("%+v, %v", d.verdict, err)
				}
				if took := time.Since(began); took != 10*time.Second-time.Second-stopTime {
					t.Errorf("it stays after %v", took)
				}
				if last := p.calls[len(p.calls)-1]; last != "join" {
					t.Errorf("at last the port was asked to %s", last)
				}
			})
		})
	}
}

func TestAHandOverToASuccessorIsARetirement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{steer: steers(listen.ErrAlone, nil)}
		d, err := departsIf(t, func() bool { return true }, Options{}, nil, p)
		if err != nil || !d.verdict.Lossless || !d.verdict.Successor {
			t.Errorf("%+v, %v", d.verdict, err)
		}
	})
}

func TestAnOrderToRetireIsNotSoftened(t *testing.T) {
	o := newOrders()
	o.handOver()
	if !o.toSuccessor() || !isClosed(o.asked) {
		t.Error("it is not told to hand over")
	}
	o.retire()
	o.handOver()
	if o.toSuccessor() {
		t.Error("it does not retire whatever happens")
	}
	o.takeBack()
	o.obeyed()
	if o.toSuccessor() || isClosed(o.asked) {
		t.Error("what was taken back still counts")
	}
	o.handOver()
	o.takeBack()
	o.handOver() // anew, before the first has been undone
	o.obeyed()
	if !o.toSuccessor() || !isClosed(o.asked) {
		t.Error("the second one was lost")
	}
}

func TestATermDuringAHandOverEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		p := &fakePort{steer: func() error { tries++; return listen.ErrAlone }}
		d, err := departsIf(t, func() bool { return tries < 3 }, Options{}, nil, p)
		if err != nil || d.verdict.Successor || !d.verdict.Lossless {
			t.Errorf("%+v, %v", d.verdict, err)
		}
	})
}

func TestWhatCannotBePutBackLeavesAndIsDoubted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		undo := make(chan struct{})
		close(undo)
		p := &fakePort{joins: errors.New("no descriptor")}
		d, err := departs(t, Options{}, undo, p)
		if errors.Is(err, errTakenBack) || d.verdict.Lossless || !strings.Contains(d.verdict.Reason, "could not be taken back: no descriptor") {
			t.Errorf("%+v, %v", d.verdict, err)
		}
		wantCalls(t, p, "steer", "settle", "join", "leave")
	})
}
