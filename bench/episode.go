package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/report"
)

// episode makes one episode, and reports whether it left evidence. It begins its line with
// what was drawn, and ends it with what came of it.
func (s *soak) episode(ctx context.Context, e episode) (lost bool, err error) {
	e.plan = e.plan.under(s.retire)
	began := s.clock.now()
	fmt.Fprintf(s.env.stdout, "#%d at %v: %v: ", e.number, began.Round(time.Second), e)
	var said bytes.Buffer
	story, err := s.begin(ctx, e, &said)
	if err != nil {
		fmt.Fprintln(s.env.stdout, "not begun")
		return false, err
	}
	defer story.fleet.close()
	packets, err := s.record(ctx, story)
	if err != nil {
		fmt.Fprintln(s.env.stdout, "not begun")
		return false, err
	}
	err = story.tell(ctx)
	r := report.Of(story.seen)
	s.sum.add(story.struck, r, err == nil)
	fmt.Fprintf(s.env.stdout, "%v, %d sent, %d lost\n", (s.clock.now() - began).Round(time.Second), r.Sent, r.Lost())
	if r.Lost() == 0 && (errors.Is(err, errInterrupted) || err == nil && r.Passed()) {
		packets.drop()
		return false, err
	}
	story.fleet.stop() // so that logs and packets have all of it
	packets.finish()
	report.Print(&said, r)
	if err == nil {
		err = errors.New(r.Headline())
	}
	err = fmt.Errorf("episode %d: %w", e.number, err)
	fmt.Fprintf(s.env.stdout, "to repeat it: go run ./bench %s\n", strings.Join(s.again(e), " "))
	return true, errors.Join(err, s.leave(e, story, said.Bytes(), err))
}

// under leaves out what the way in which releases leave does not know.
func (p plan) under(retire string) plan {
	var troubles []trouble
	for _, t := range p.troubles {
		if t.misfortune != nil && t.graceful && retire != "graceful" {
			t = trouble{}
		}
		troubles = append(troubles, t)
	}
	p.troubles = troubles
	return p
}

func (s *soak) begin(ctx context.Context, e episode, said io.Writer) (*story, error) {
	c, err := e.config("--server="+s.built, "--retire="+s.retire)
	if err != nil {
		return nil, err
	}
	story, err := begin(ctx, c, said)
	if err != nil {
		return nil, err
	}
	story.plan = e.plan
	story.seen.What = e.String() + "; " + c.String()
	return story, nil
}

func (s *soak) record(ctx context.Context, story *story) (*packets, error) {
	if !s.packets {
		return nil, nil
	}
	return recordPackets(ctx, filepath.Join(s.dir, "packets"), story.fleet.addr, story.clock)
}

// leave puts what there is besides the packets into the directory.
func (s *soak) leave(e episode, story *story, said []byte, why error) error {
	return errors.Join(
		os.RemoveAll(filepath.Join(s.dir, "server")), // the commit is in the raw results
		s.leaveLogs(story.fleet),
		s.leaveRaw(e, story.seen),
		s.leaveStory(e, said, why),
	)
}

func (s *soak) leaveLogs(f *fleet) error {
	dir := filepath.Join(s.dir, "logs")
	errs := []error{os.Mkdir(dir, 0o755)}
	for _, r := range f.releases {
		text, err := os.ReadFile(r.Log)
		errs = append(errs, err, os.WriteFile(filepath.Join(dir, r.name+".log"), text, 0o644))
	}
	return errors.Join(errs...)
}

func (s *soak) leaveRaw(e episode, seen evidence.Run) error {
	w, err := createRaw(filepath.Join(s.dir, "raw.gz"), s.again(e))
	if err != nil {
		return err
	}
	return errors.Join(w.add(seen), w.close())
}

func (s *soak) leaveStory(e episode, said []byte, why error) error {
	text := fmt.Sprintf("seed %d, episode %d: %v\n%v\n\nto repeat it:\n  go run ./bench %s\n\n%s",
		s.seed, e.number, e, why, strings.Join(s.again(e), " "), said)
	return os.WriteFile(filepath.Join(s.dir, "story.txt"), []byte(text), 0o644)
}

// again is the command line behind the bench's name that repeats an episode.
func (s *soak) again(e episode) []string {
	args := []string{"soak", "--seed", strconv.FormatUint(s.seed, 10), "--episode", strconv.Itoa(e.number)}
	if s.retire != "graceful" {
		args = append(args, "--retire", s.retire)
	}
	if s.server != "" {
		args = append(args, "--server", s.server)
	}
	if !s.packets {
		args = append(args, "--packets=false")
	}
	return args
}
