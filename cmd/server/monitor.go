package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ba995850/overlap/internal/control"
)

const (
	// minWatch bounds how often everybody is asked.
	minWatch = 100 * time.Millisecond
	// watchPatience is how long an instance may take to answer. One that is stopped holds up
	// the screen for so long, and a machine that is busy is not stopped.
	watchPatience = time.Second
)

// monitor shows again and again which instances there are: on a terminal in place, elsewhere
// one table behind the other.
type monitor struct {
	view
	every time.Duration
}

// run returns when a signal ends it, which is how it is meant to end.
func (m monitor) run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	show := m.print
	var resized <-chan os.Signal
	if m.inPlace {
		screen := openScreen(m.out)
		defer screen.close()
		show, resized = func(all []control.Found) error { return m.draw(screen, all) }, screen.resized
	}
	each := time.NewTicker(m.every)
	defer each.Stop()
	for {
		all, err := findAll(ctx, watchPatience)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = show(all)
		}
		if err != nil {
			return err
		}
		if !m.wait(ctx, each.C, resized, func() error { return show(all) }) {
			return nil
		}
	}
}

// wait returns when it is time to ask again, and false at the end. Where the terminal gets
// another size what is known is drawn anew.
func (m monitor) wait(ctx context.Context, each <-chan time.Time, resized <-chan os.Signal, redraw func() error) (more bool) {
	for {
		select {
		case <-each:
			return true
		case <-resized:
			if redraw() != nil {
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
}

// print writes a table, or with --json an array, behind the last one.
func (m monitor) print(all []control.Found) error {
	if m.asJSON {
		return json.NewEncoder(m.out).Encode(statusObjects(all))
	}
	err := m.view.print(all)
	if errors.Is(err, errNoInstance) {
		_, err = fmt.Fprintln(m.out, errNoInstance)
	}
	if err == nil {
		_, err = io.WriteString(m.out, "\n")
	}
	return err
}

func (m monitor) draw(s *screen, all []control.Found) error {
	lines, now := []string{errNoInstance.Error()}, time.Now()
	paint := plain
	if len(all) > 0 {
		lines = table(all, now)
		paint = m.painter(lines[0])
	}
	return s.draw(append(lines, "", fmt.Sprintf("%s, each %v; Ctrl-C ends this", now.Format(time.TimeOnly), m.every)), paint)
}
