package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ba995850/overlap/internal/control"
)

// orders tells instances what to do, all of those that are meant at once, and says what has
// come of it.
type orders struct {
	mu  sync.Mutex
	out io.Writer
}

func (o *orders) say(f control.Found, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.out, "%s: %s\n", nameOf(f), fmt.Sprintf(format, args...))
}

// each does something with all of them at once.
func (o *orders) each(ctx context.Context, meant []control.Found, do func(context.Context, control.Found) error) error {
	errs := make([]error, len(meant))
	var all sync.WaitGroup
	for i, f := range meant {
		all.Go(func() {
			if errs[i] = do(ctx, f); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", nameOf(f), errs[i])
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// inTime gives an instance its time to answer.
func inTime(ctx context.Context, what func(context.Context, string) (control.Status, error), f control.Found) (control.Status, error) {
	ctx, stop := context.WithTimeout(ctx, askTimeout)
	defer stop()
	return what(ctx, f.Instance)
}
