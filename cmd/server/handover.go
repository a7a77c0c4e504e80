package main

import (
	"cmp"
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

	title string
}

// retiree is an instance that has left, or has not.
type retiree struct {
	Release  string          `json:"release"`
	PID      int             `json:"pid"`
	Requests int64           `json:"requests"` // answered during the upgrade
	Verdict  overlap.Verdict `json:"verdict"`
	Error    string          `json:"error,omitempty"`

	title string
	err   error
}

// retire hands over, and prints the verdict. Where it is interrupted, or the new release
// does not serve on, it takes back what can be taken back.
func (u *upgrade) retire(ctx context.Context, old []control.Found) error {
	left := make([]retiree, len(old))
	telling, hush := context.WithCancel(ctx)
	defer hush()
	var told, leaving sync.WaitGroup
	for i, f := range old {
		told.Add(1)
		leaving.Go(func() { left[i] = u.dismiss(telling, f, sync.OnceFunc(told.Done)) })
	}
	done := make(chan struct{})
	go func() { leaving.Wait(); close(done) }()
	cause := u.trouble(ctx, done)
	if cause != nil {
		hush()
		told.Wait() // or what is taken back would be told after that
		if err := u.undo(cause, old, done); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(left, retiree.hasLeft) {
		return u.backOut(cmp.Or(cause, errors.Join(errorsOf(left)...)))
	}
	return u.report(left)
}

// trouble returns nil when all is done, or why that must not be waited for.
func (u *upgrade) trouble(ctx context.Context, done <-chan struct{}) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- u.servesOn(watching) }()
	select {
	case <-done:
		return nil
	case err := <-failed:
		return interrupted(ctx, err)
	}
}

// hasLeft says whether the new release is needed in its place.
func (r retiree) hasLeft() bool {
	return !slices.ContainsFunc([]error{errNotTold, errStays, errDeaf, errInterrupted}, func(stays error) bool { return errors.Is(r.err, stays) })
}

// dismiss follows one of them to its end. It calls told when that has been told, or is not
// going to be.
func (u *upgrade) dismiss(ctx context.Context, f control.Found, told func()) retiree {
	defer told()
	handOver := func(ctx context.Context, instance string) (control.Status, error) {
		defer told()
		return control.HandOver(ctx, instance)
	}
	r := retiree{Release: f.Release, PID: f.PID, title: titleOf(f.Status)}
	r.Verdict, r.err = retire(ctx, f, handOver, u.hear(f))
	if errors.Is(r.err, errDeaf) { // or it would leave when it listens at last
		_, _ = inTime(context.Background(), control.TakeBack, f)
	}
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

// undo takes back what can be taken back, and waits for the others. Another interruption ends
// that.
func (u *upgrade) undo(cause error, old []control.Found, done <-chan struct{}) error {
	again, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	u.progress.say("%v: taking back what can be taken back", cause)
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

// report prints the verdict. Who left without a successor has left to nobody.
func (u *upgrade) report(left []retiree) error {
	h := handover{Lossless: true, Retired: left, New: taker{Release: u.fresh.Release, PID: u.fresh.PID, title: titleOf(u.fresh.Status)}}
	s, err := inTime(context.Background(), control.Ask, u.fresh)
	if err != nil {
		err = fmt.Errorf("%s has taken over, and does not answer: %w", nameOf(u.fresh), err)
	}
	h.New.Requests = s.Requests
	h.Seconds = time.Since(u.began).Seconds()
	for _, r := range left {
		h.Lossless = h.Lossless && r.Verdict.Lossless && r.Verdict.Successor
	}
	u.progress.end()
	err = errors.Join(append(errorsOf(left), err, h.print(u.out, u.asJSON))...)
	if err == nil && !h.Lossless {
		err = errNotLossless
	}
	return err
}

func (h handover) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(h)
	}
	word := "lossless"
	if !h.Lossless {
		word = "NOT LOSSLESS"
	}
	fmt.Fprintf(w, "%s: %s took over in %.2fs\n", word, h.New.title, h.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RELEASE\tPID\tANSWERED\tABANDONED\tLATE\tCUT\tUNACKNOWLEDGED\tPHASES")
	for _, r := range h.Retired {
		if r.err != nil {
			fmt.Fprintf(t, "%s\t%d\tno verdict\n", r.title, r.PID)
			continue
		}
		v := r.Verdict
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", r.title, r.PID, r.Requests, v.Abandoned, v.Late, v.Cut, v.Unacknowledged, phasesOf(v))
	}
	fmt.Fprintf(t, "%s\t%d\t%d\n", h.New.title, h.New.PID, h.New.Requests)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range h.Retired {
		if r.Verdict.Reason != "" {
			fmt.Fprintf(w, "%s: %s\n", r.title, r.Verdict.Reason)
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
