package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ba995850/overlap/bench/internal/group"
)

// orderBound is how long a peer may take over one step of an upgrade.
const orderBound = 40 * time.Second

// run starts a program, whose output goes to a file in the site.
func (s *Site) run(cmd *exec.Cmd) (*group.Program, error) {
	return group.Start(cmd, filepath.Join(s.Dir, "log"), (*exec.Cmd).Start)
}

// tell sends a program a signal.
func tell(p *group.Program, s os.Signal) error {
	if err := p.Cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("send it %v: %w; its log ends with\n%s", s, err, p.LastWords())
	}
	return nil
}

// await waits for the end of a program.
func await(ctx context.Context, p *group.Program) error {
	select {
	case <-p.Exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(orderBound):
		return fmt.Errorf("it has not ended after %v; its log ends with\n%s", orderBound, p.LastWords())
	}
}

// stop ends a program, if there is one.
func stop(p *group.Program) {
	if p != nil {
		p.Stop(stopBound)
	}
}

// obey runs a command that gives an order, and returns when it has. What it starts may hold
// its output, so that goes to the log.
func (s *Site) obey(ctx context.Context, name string, args ...string) error {
	p, err := s.run(exec.Command(name, args...))
	if err != nil {
		return err
	}
	if err := await(ctx, p); err != nil {
		group.Kill(p.Cmd.Process.Pid)
		return fmt.Errorf("%s: %w", name, err)
	}
	if !p.Cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %v; the log ends with\n%s", strings.Join(p.Cmd.Args, " "), p.Cmd.ProcessState, p.LastWords())
	}
	return nil
}

// bothServe is how long an old master serves beside the one that it has started: the workers of
// that one come up meanwhile, and say nothing of it.
const bothServe = time.Second

// succeed tells a master process to start its successor, which writes its pid into a file, and
// then, by another signal, to go.
func succeed(ctx context.Context, master int, file string, goAway syscall.Signal, leave func()) (next int, err error) {
	old, err := os.FindProcess(master)
	if err != nil {
		return 0, err
	}
	if err := old.Signal(upgradeBinary); err != nil {
		return 0, fmt.Errorf("send %d %v: %w", master, upgradeBinary, err)
	}
	if next, err = awaitPid(ctx, file, master); err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(bothServe):
	}
	leave()
	if err := old.Signal(goAway); err != nil {
		return 0, fmt.Errorf("send %d %v: %w", master, goAway, err)
	}
	return next, nil
}

// awaitGone waits until a file is there no more.
func awaitGone(ctx context.Context, file string) error {
	ctx, stop := context.WithTimeout(ctx, orderBound)
	defer stop()
	for {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s is gone: %w", filepath.Base(file), ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// awaitPid waits until a file names another process, and returns that.
func awaitPid(ctx context.Context, file string, other int) (int, error) {
	ctx, stop := context.WithTimeout(ctx, orderBound)
	defer stop()
	for {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		// Both programs write it with an end of line, so that half a number is none.
		if line, whole := strings.CutSuffix(string(text), "\n"); whole {
			if pid, err := strconv.Atoi(line); err == nil && pid != other {
				return pid, nil
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for another process in %s: %w", filepath.Base(file), ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// LastWords are the last that the peer wrote.
func (s *Site) LastWords() string { return group.LastWords(filepath.Join(s.Dir, "log")) }
