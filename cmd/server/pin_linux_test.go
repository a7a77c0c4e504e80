package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red: an order has the time of a question; one that is not done
// in time says nothing of the instance.

func TestAnOrderThatIsNotDoneInTimeSaysHowTheInstanceIs(t *testing.T) {
	t.Parallel()
	p := start(t, "--addr", "127.0.0.1:0", "--release", "slow", "--linger-timeout", "100ms")
	p.await(t, "state", "serving")
	all, err := (selection{pids: []int{p.Process.Pid}}).find(t.Context())
	must(t, err)
	slow := func(ctx context.Context, _ string) (control.Status, error) {
		<-ctx.Done()
		return control.Status{}, ctx.Err()
	}
	err = turning{give: slow, within: 10 * time.Millisecond}.to(t.Context(), all[0])
	if err == nil || !strings.Contains(err.Error(), "it is serving, and has not said within 10ms") {
		t.Error(err)
	}
	refused := errors.New("nobody takes over")
	refuse := func(context.Context, string) (control.Status, error) { return control.Status{}, refused }
	if err := (turning{give: refuse, within: time.Second}).to(t.Context(), all[0]); !errors.Is(err, refused) {
		t.Error(err)
	}
}

func TestAnOrderHasMoreTimeThanAQuestion(t *testing.T) {
	t.Parallel()
	given := func(ctx context.Context, _ string) (control.Status, error) {
		until, limited := ctx.Deadline()
		if left := time.Until(until); !limited || left < orderTimeout-time.Second || orderTimeout <= askTimeout {
			t.Errorf("it has %v", left)
		}
		return control.Status{}, nil
	}
	must(t, turning{give: given, within: orderTimeout}.to(t.Context(), control.Found{}))
}
