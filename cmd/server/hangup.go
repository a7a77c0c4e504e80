package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
)

// startWithin is how long a release that HUP has started may take until it serves.
const startWithin = time.Minute

const hangUpHelp = `HUP: put the next release where this one is, and send HUP. What we were started as is
started again: the same name (in PATH where it has no slash, so a symbolic link may have
moved) with the same arguments, in the directory of the same name, in a session of its
own, and writes where we write. When it serves on all our addresses, we retire. If it
ends before, or takes more than a minute, the log says so and nothing has changed; if it
ends before it has taken over, we stay. TERM and INT before it serves stop it, too, and we
retire.
Under systemd, supervisord or as process 1 of a container HUP is refused: our end would
be taken for the end of the service. Where the terminal that we were started from has
gone HUP comes from there, and means TERM; under nohup it then means nothing, once.`

// succession is what HUP asks for: the program that we are is started again, and when the
// new process serves we retire. All but run is for one goroutine.
type succession struct {
	inst     instance
	log      *slog.Logger
	command  func() *exec.Cmd
	within   time.Duration
	obstacle string // why we may not be succeeded; "": we may
	terminal terminal

	leave context.CancelCauseFunc // gives the attempt up
	ended chan struct{}           // closed when the attempt is over; nil: there was none
}

func newSuccession(env env, cfg config, inst instance, log *slog.Logger) *succession {
	return &succession{
		inst: inst, log: log, within: startWithin,
		command:  again(env),
		obstacle: obstacle(env.getenv, os.Getpid(), cfg),
		terminal: controllingTerminal(),
	}
}

// again returns what starts the program as we were started. The directory is the one with
// the name that ours has now, not the one that we are in: it may be a symbolic link.
func again(env env) func() *exec.Cmd {
	dir, _ := os.Getwd() // "" is the one that we are in
	return func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], os.Args[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, env.stdout, env.stderr
		cmd.Env = slices.DeleteFunc(cmd.Environ(), isOurs)
		return cmd
	}
}

// isOurs says whether a variable is between a supervisor and this process, and nobody
// else's business: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3). A service may
// have others that begin likewise.
func isOurs(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	switch name {
	case "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES":
		return true
	}
	return false
}

// obstacle says why another process cannot take our place, and what to do instead.
func obstacle(getenv func(string) string, pid int, cfg config) string {
	switch {
	case runtime.GOOS != "linux":
		return control.ErrUnsupported.Error() + ", and we would not see when the next release serves: start it yourself, and send TERM"
	case getenv("NOTIFY_SOCKET") != "" || getenv("SYSTEMD_EXEC_PID") == strconv.Itoa(pid):
		return "systemd takes our end for the end of the service: start the next release as a unit of its own, then stop this one"
	case getenv("SUPERVISOR_ENABLED") != "":
		return "supervisord takes our end for the end of the program: start the next release as a program of its own, then stop this one"
	case pid == 1:
		return "the container ends with us, process 1: start the next release in a container of its own, then stop this one"
	case slices.ContainsFunc(cfg.Addr, isAnyPort):
		return "port 0 is another one each time: give --addr a port, which both releases can share"
	case cfg.Dark:
		return "our successor would be --dark, too: start it yourself, \"server pin\" it, and send TERM"
	}
	return ""
}

func isAnyPort(addr string) bool {
	port := addr[strings.LastIndexByte(addr, ':')+1:]
	n, err := net.LookupPort("tcp", port)
	return err == nil && n == 0
}

// hangUp starts our successor, unless that cannot be.
func (o *operator) hangUp() {
	s := o.succession
	switch {
	case s.terminal.hungUp() && s.terminal.nohup:
		s.terminal.controls = false // the next HUP comes from somebody else
		o.sayHangUp(slog.LevelInfo, "nothing", "our terminal has gone, and nohup says to stay")
	case s.terminal.hungUp():
		o.sayHangUp(slog.LevelInfo, "retire", "our terminal has gone")
		o.retire()
	case s.obstacle != "":
		o.sayHangUp(slog.LevelWarn, "nothing", s.obstacle)
	case s.underWay():
		o.sayHangUp(slog.LevelWarn, "nothing", "our successor is being started already")
	case o.inst.State() != overlap.StateServing:
		o.sayHangUp(slog.LevelWarn, "nothing", "only an instance that serves is succeeded, and we are "+o.inst.State().String())
	default:
		o.sayHangUp(slog.LevelInfo, "start our successor", "")
		s.begin()
	}
}

func (o *operator) sayHangUp(level slog.Level, act, why string) {
	attrs := []any{slog.String("signal", "HUP"), slog.String("act", act)}
	if why != "" {
		attrs = append(attrs, slog.String("why", why))
	}
	o.log.Log(context.Background(), level, "signal", attrs...)
}

func (s *succession) underWay() bool { return s.ended != nil && !isClosed(s.ended) }

func (s *succession) begin() {
	ctx, leave := context.WithCancelCause(context.Background())
	s.leave, s.ended = leave, make(chan struct{})
	go func() {
		defer close(s.ended)
		defer leave(nil)
		s.run(ctx)
	}()
}

var errLeaving = errors.New("we have been told to leave meanwhile")

// giveUp stops a successor that does not serve yet: who tells us to leave does not want
// another one to come.
func (s *succession) giveUp() {
	if s.underWay() {
		s.leave(errLeaving)
	}
}

// end returns when no attempt is under way.
func (s *succession) end() {
	s.giveUp()
	if s.ended != nil {
		<-s.ended
	}
}

func (s *succession) run(ctx context.Context) {
	began := time.Now()
	next, is, err := s.start(ctx)
	took := slog.Float64("took", time.Since(began).Seconds())
	if err != nil {
		s.log.Error("no successor", slog.Any("error", err), took)
		return
	}
	s.log.Info("successor", slog.String("next", is.Release), slog.Int("next_pid", is.PID), took)
	s.inst.HandOver()
	select {
	case <-ctx.Done(): // we have left, or are to leave in any case
	case <-next.ended:
		s.log.Error("no successor", slog.Any("error", next.failure("after it was ready")))
		s.inst.TakeBack()
	}
}

// start returns our successor when it serves. Otherwise none is left.
func (s *succession) start(ctx context.Context) (next *sibling, is control.Found, err error) {
	if next, err = startSibling(s.command()); err != nil {
		return nil, is, err
	}
	inTime, stop := context.WithTimeout(ctx, s.within)
	defer stop()
	is, err = next.awaitServing(inTime, next.owns, false)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err == nil:
		err = s.takesOver(is)
	}
	if err != nil {
		return nil, is, errors.Join(err, next.dismiss(is, control.Retire, func(control.Event) {}))
	}
	return next, is, nil
}

// takesOver returns an error if one of our addresses would be left to nobody, as where the
// file of the configuration names others by now.
func (s *succession) takesOver(is control.Found) error {
	for _, a := range s.inst.Addrs() {
		if !slices.ContainsFunc(is.Ports, func(p control.Port) bool { return p.Addr == a.String() }) {
			return fmt.Errorf("the new release listens on %s, and not on %v as we do: start it yourself, and send TERM", is.Addr, a)
		}
	}
	return nil
}

// terminal is the one that controls us.
type terminal struct {
	controls bool // there is one
	nohup    bool // we were started to outlive it
}

// controllingTerminal has to be called before anybody asks for HUP.
func controllingTerminal() terminal {
	return terminal{controls: openTerminal() == nil, nohup: signal.Ignored(syscall.SIGHUP)}
}

// hungUp says whether the terminal has gone: the kernel takes it from its processes before
// it sends HUP; tty(4).
func (t terminal) hungUp() bool {
	err := openTerminal()
	return t.controls && (errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EIO))
}

func openTerminal() error {
	tty, err := os.Open("/dev/tty")
	if err == nil {
		tty.Close()
	}
	return err
}
