package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
)

// handover is what came of an upgrade.
type handover struct {
	Lossless bool      `json:"lossless"`
	Seconds  float64   `json:"seconds"` // from the beginning of the command
	New      taker     `json:"new"`
	Retired  []retiree `json:"retired"`
}

// taker is the instance that has taken over.
type taker struct {
	Release  string `json:"release"`
	PID      int    `json:"pid"`
	Requests int64  `json:"requests"` // answered by the end of the upgrade
}

// retiree is an instance that has left, or has not.
type retiree struct {
	Release  string          `json:"release"`
	PID      int             `json:"pid"`
	Requests int64           `json:"requests"` // answered during the upgrade
	Verdict  overlap.Verdict `json:"verdict"`
	Error    string          `json:"error,omitempty"`

	err error
}

// retire retires the old instances and prints the verdict. Interrupted, it takes back what
// can be taken back.
func (u *upgrade) retire(ctx context.Context, old []control.Found) error {
	left := make([]retiree, len(old))
	var leaving sync.WaitGroup
	for i, f := range old {
		leaving.Go(func() { left[i] = u.dismiss(ctx, f) })
	}
	done := make(chan struct{})
	go func() { leaving.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		if err := u.undo(old, done); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(left, retiree.hasLeft) {
		return u.backOut(errors.Join(errorsOf(left)...))
	}
	return u.report(left)
}

// hasLeft says whether the new release is needed in its place.
func (r retiree) hasLeft() bool {
	return !errors.Is(r.err, errStays) && !errors.Is(r.err, errInterrupted)
}

// dismiss follows one of them to its end.
func (u *upgrade) dismiss(ctx context.Context, f control.Found) retiree {
	r := retiree{Release: f.Release, PID: f.PID}
	r.Verdict, r.err = retire(ctx, f, u.hear(f))
	if r.err != nil {
		r.err = fmt.Errorf("%s: %w", nameOf(f), r.err)
		r.Error = r.err.Error()
		return r
	}
	r.Requests = r.Verdict.Requests - f.Requests
	return r
}

func errorsOf(left []retiree) (errs []error) {
	for _, r := range left {
		errs = append(errs, r.err)
	}
	return errs
}

// undo takes back what can be taken back, and waits for the others. A second interruption
// ends that.
func (u *upgrade) undo(old []control.Found, done <-chan struct{}) error {
	again, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	u.progress.say("interrupted: taking back what can be taken back")
	o := &orders{out: u.progress}
	if err := o.each(again, old, o.takeBack); err != nil {
		u.progress.say("%v; going on. Once more ends this command, and leaves them as they are", err)
	}
	select {
	case <-done:
		return nil
	case <-again.Done():
		return errInterrupted
	}
}

// report prints the verdict.
func (u *upgrade) report(left []retiree) error {
	h := handover{Lossless: true, Retired: left, New: taker{Release: u.fresh.Release, PID: u.fresh.PID}}
	s, err := inTime(context.Background(), control.Ask, u.fresh)
	if err != nil {
		return errors.Join(append(errorsOf(left), fmt.Errorf("%s: %w", nameOf(u.fresh), err))...)
	}
	h.New.Requests = s.Requests
	h.Seconds = time.Since(u.began).Seconds()
	for _, r := range left {
		h.Lossless = h.Lossless && r.Verdict.Lossless
	}
	u.progress.end()
	if err := h.print(u.out, u.asJSON); err != nil {
		return err
	}
	if err := errors.Join(errorsOf(left)...); err != nil || h.Lossless {
		return err
	}
	return errNotLossless
}

func (h handover) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(h)
	}
	word := "lossless"
	if !h.Lossless {
		word = "NOT LOSSLESS"
	}
	fmt.Fprintf(w, "%s: %s took over in %.2fs\n", word, h.New.Release, h.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RELEASE\tPID\tANSWERED\tABANDONED\tLATE\tCUT\tUNACKNOWLEDGED\tPHASES")
	for _, r := range h.Retired {
		if r.err != nil {
			fmt.Fprintf(t, "%s\t%d\tno verdict\n", r.Release, r.PID)
			continue
		}
		v := r.Verdict
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", r.Release, r.PID, r.Requests, v.Abandoned, v.Late, v.Cut, v.Unacknowledged, phasesOf(v))
	}
	fmt.Fprintf(t, "%s\t%d\t%d\n", h.New.Release, h.New.PID, h.New.Requests)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range h.Retired {
		if r.Verdict.Reason != "" {
			fmt.Fprintf(w, "%s: %s\n", r.Release, r.Verdict.Reason)
		}
	}
	return nil
}

// phasesOf is what each phase took, in their order.
func phasesOf(v overlap.Verdict) string {
	var took []string
	for _, p := range overlap.Phases() {
		if d, ok := v.Phases[p]; ok {
			took = append(took, fmt.Sprintf("%s %v", p, d.Round(time.Millisecond)))
		}
	}
	return strings.Join(took, ", ")
}
