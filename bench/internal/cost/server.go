package cost

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ba995850/overlap/bench/internal/group"
)

// server is a contender that runs. It has to be stopped.
type server struct {
	*contender
	*group.Program
	addr string
	dir  string
}

// startBound is how long a contender may take until it answers.
const startBound = 10 * time.Second

// start starts a contender, and returns when it answers what it should.
func (c *contender) start(ctx context.Context, built Built) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return c.startAt(ctx, built, addr)
}

// startAt is start on an address where another release may be.
func (c *contender) startAt(ctx context.Context, built Built, addr string) (_ *server, err error) {
	s := &server{contender: c, addr: addr}
	if s.dir, err = os.MkdirTemp("", "overlap-cost-"); err != nil {
		return nil, err
	}
	cmd, err := c.command(built, s.dir, s.addr)
	if err == nil {
		s.Program, err = group.Start(cmd, filepath.Join(s.dir, "log"), (*exec.Cmd).Start)
	}
	if err != nil {
		os.RemoveAll(s.dir)
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	if err := s.await(ctx); err != nil {
		defer s.stop()
		return nil, fmt.Errorf("start %s: %w\n%s", c.name, err, s.LastWords())
	}
	return s, nil
}

// await asks until it is this release that answers.
func (s *server) await(ctx context.Context) (err error) {
	ctx, stop := context.WithTimeout(ctx, startBound)
	defer stop()
	for {
		c := caller{addr: s.addr}
		err = c.ask()
		c.close()
		if err == nil && c.release == cmp.Or(s.release, releases[0]) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; it does not answer: %v", ctx.Err(), err)
		case <-s.Exited:
			return fmt.Errorf("it has ended: %v", s.Cmd.ProcessState)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends it and what it has started.
func (s *server) stop() {
	group.Kill(s.Cmd.Process.Pid)
	<-s.Exited
	os.RemoveAll(s.dir)
}

// cpu is what it and its children have spent on the CPU, by /proc/PID/stat; proc(5).
func (s *server) cpu() (spent time.Duration) {
	const user, system, tick = 14 - 3, 15 - 3, 10 * time.Millisecond
	for _, pid := range s.processes() {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // it may have ended
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > system {
			u, _ := strconv.Atoi(string(fields[user]))
			k, _ := strconv.Atoi(string(fields[system]))
			spent += time.Duration(u+k) * tick
		}
	}
	return spent
}

// memory is what it and its children have for themselves, in bytes: what would be free without
// them, but for the kernel's sockets.
func (s *server) memory() (sum int64) {
	for _, pid := range s.processes() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(text)) {
			var kB int64
			if _, err := fmt.Sscanf(line, "Private_Clean: %d kB", &kB); err == nil {
				sum += kB << 10
			}
			if _, err := fmt.Sscanf(line, "Private_Dirty: %d kB", &kB); err == nil {
				sum += kB << 10
			}
		}
	}
	return sum
}

// processes are those of its process group.
func (s *server) processes() (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		stat, _ := os.ReadFile(file)
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		const group = 5 - 3
		if len(fields) <= group || string(fields[group]) != strconv.Itoa(s.Cmd.Process.Pid) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		pids = append(pids, pid)
	}
	return pids
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
