package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
	"github.com/spf13/cobra"
)

const upgradeHelp = `Start a new release beside the running one, and when it serves, retire the running one:
the whole upgrade, in one command that says whether anything was lost.

  1. See who is there to be replaced.
  2. Start the command. It outlives this one: it has a session of its own, and its output
     goes to a file (--log).
  3. Wait until its instance serves, and new connections have come to it on each port.
  4. With --soak, see that it goes on doing so for a while.
  5. Retire the old ones: those that share a port with it, or those of --from.
  6. Print the verdict. ANSWERED counts from the beginning of the upgrade; the verdict in a
     log counts the whole life of an instance.

If anything is wrong before 5, the new release is stopped, the old one has not been
touched, and the exit code is 1. Ctrl-C does the same, and during 5 it takes back what can
be taken back: an instance that still listens stays. A new release that has become the only
one which serves stays in any case. The exit code is 0 only if nothing was lost.

The command may be a script around the server, as long as that runs in the foreground. If
it only has somebody else start it (systemctl, docker), name the new release by --release.
What has that name is taken for it only if it serves on a port of the old one, and else left
to who has started it: it may be another service's. Where several services run, say by
--from-pid whom it replaces.`

const upgradeExample = `  server upgrade -- ./server-v2 serve --addr :8080 --release v2
  server upgrade --soak 30s --log v2.log -- ./server-v2 serve --addr :8080 --release v2
  server upgrade --release v2 --from-pid $(systemctl show -P MainPID overlap@v1) -- systemctl start overlap@v2`

// upgrade is one call of the verb.
type upgrade struct {
	command []string
	release string    // of the new one, where its command does not run it
	from    selection // whom to retire; nobody: all that share a port with the new one
	log     string
	journal bool
	ready   time.Duration
	soak    time.Duration
	asJSON  bool

	out      io.Writer
	progress *progress
	began    time.Time
	before   []control.Found // who was there
	targets  []control.Found // those of them that may be replaced
	sibling  *sibling
	output   *output // of the sibling; nil: the journal has it
	fresh    control.Found
}

func newUpgrade() *cobra.Command {
	u := &upgrade{}
	cmd := &cobra.Command{
		Use:     "upgrade [flags] -- COMMAND [ARG]...",
		Short:   "Start a new release, retire the running one, and say whether anything was lost",
		Long:    upgradeHelp,
		Example: upgradeExample,
		Args:    aCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			u.command, u.out, u.progress = args, cmd.OutOrStdout(), newProgress(cmd.ErrOrStderr())
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			outliveTerminal()
			defer context.AfterFunc(ctx, stop)() // once more ends us at once
			return u.run(ctx)
		},
	}
	cmd.SetContext(context.Background())
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&u.release, "release", "", "the `name` of the new release, if its command only has it started elsewhere")
	flags.StringArrayVar(&u.from.releases, "from", nil, "retire this `release`, and no other; can be repeated")
	flags.IntSliceVar(&u.from.pids, "from-pid", nil, "retire the instance with this process `id`, and no other")
	flags.StringVar(&u.log, "log", "", "append the output of the new release to this `file`; else it is a new one, which is named")
	flags.BoolVar(&u.journal, "journal", false, "send it to the journal of systemd instead, under the name of the command")
	flags.DurationVar(&u.ready, "ready-timeout", time.Minute, "how long the new release may take until it is ready")
	flags.DurationVar(&u.soak, "soak", 0, "how long it has to serve before the old one is told to leave")
	flags.BoolVar(&u.asJSON, "json", false, "the verdict as one JSON object")
	return cmd
}

func aCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return usageError{fmt.Errorf("say what to start, behind --; see %s --help", cmd.CommandPath())}
}

// run upgrades. ctx ends when somebody interrupts it.
func (u *upgrade) run(ctx context.Context) error {
	u.began = time.Now()
	defer u.progress.end()
	if err := u.check(ctx); err != nil {
		return err
	}
	if err := u.start(); err != nil {
		return err
	}
	if u.output != nil {
		defer u.output.Close()
	}
	old, err := u.replace(ctx)
	if err != nil {
		return u.backOut(err)
	}
	return u.retire(ctx, old)
}

var errNobody = errors.New("there is nobody to replace: start the first release with its own command")

// check sees who is there to be replaced, before anything is started.
func (u *upgrade) check(ctx context.Context) (err error) {
	if err := u.canStart(); err != nil {
		return err
	}
	if u.before, err = control.Find(ctx, askTimeout); err != nil {
		return err
	}
	if u.targets, err = u.choose(); err != nil {
		return err
	}
	if !slices.ContainsFunc(u.targets, isReady) {
		return nobody(u.targets, u.before)
	}
	u.warn(u.targets)
	return nil
}

// choose returns who may be replaced: those that were named, or else all. Where the new release
// is known by its name only, they have to be of one service: another one's may come at the same
// time, and have the same name.
func (u *upgrade) choose() ([]control.Found, error) {
	if u.from.isSaid() {
		chosen, err := u.from.pick(u.before)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, present(u.before))
		}
		return chosen, nil
	}
	ready := slices.DeleteFunc(slices.Clone(u.before), func(f control.Found) bool { return !isReady(f) })
	isOther := func(f control.Found) bool { return !f.SharesPort(ready[0]) }
	if u.release != "" && slices.ContainsFunc(ready, isOther) {
		return nil, fmt.Errorf("say by --from-pid whom %s replaces: %s", u.release, places(ready))
	}
	return u.before, nil
}

// nobody says why none of the targets can be replaced.
func nobody(targets, all []control.Found) error {
	for _, f := range targets {
		if f.Err != nil {
			return fmt.Errorf("%s: it is stopped, or hangs: let it go on (kill -CONT), or end it", nameOf(f))
		}
	}
	return fmt.Errorf("%w: %s", errNobody, present(all))
}

// canStart looks for the programs that are going to be started.
func (u *upgrade) canStart() error {
	if u.ready <= 0 || u.soak < 0 {
		return usageError{fmt.Errorf("--ready-timeout %v, --soak %v: time goes forward", u.ready, u.soak)}
	}
	if _, err := exec.LookPath(u.command[0]); err != nil {
		return err
	}
	if !u.journal {
		return nil
	}
	if u.log != "" {
		return usageError{errors.New("--log or --journal, not both")}
	}
	if _, err := exec.LookPath("systemd-cat"); err != nil {
		return fmt.Errorf("%w: it takes the output to the journal; or name a file by --log", err)
	}
	return nil
}

// warn says what is no reason to stop, and will not be lossless.
func (u *upgrade) warn(targets []control.Found) {
	for _, f := range targets {
		switch {
		case f.Err != nil:
			u.progress.say("warning: %s is not asked to leave", nameOf(f))
		case f.Why != "":
			u.progress.say("warning: %s cannot leave without a loss: %s", nameOf(f), f.Why)
		}
	}
}

// isReady says whether an instance can be replaced.
func isReady(f control.Found) bool { return f.Err == nil && stays(f.State) }

// start starts the command.
func (u *upgrade) start() (err error) {
	cmd := exec.Command(u.command[0], u.command[1:]...)
	where := "the journal, as " + u.identifier()
	if u.journal {
		cmd = exec.Command("systemd-cat", append([]string{"--identifier=" + u.identifier()}, u.command...)...)
	} else {
		if u.output, err = openOutput(u.log, u.command[0], u.began); err != nil {
			return err
		}
		cmd.Stdout, cmd.Stderr = u.output.File, u.output.File // no pipe through us: it outlives us
		where = u.output.Name()
	}
	cmd.Env = slices.DeleteFunc(cmd.Environ(), isOurs)
	if u.sibling, err = startSibling(cmd); err != nil {
		return err
	}
	u.progress.say("started %s (pid %d), its output goes to %s", u.command[0], u.sibling.process.Pid, where)
	return nil
}

// identifier is the name of the new release in the journal.
func (u *upgrade) identifier() string { return filepath.Base(u.command[0]) }

// replace waits until the new instance is ready to replace others, and returns them.
func (u *upgrade) replace(ctx context.Context) ([]control.Found, error) {
	ready, stop := context.WithTimeout(ctx, u.ready)
	defer stop()
	u.progress.show("waiting until the new release serves")
	var err error
	if u.fresh, err = u.sibling.awaitServing(ready, u.isNew, u.release != ""); err != nil {
		return nil, interrupted(ctx, u.disown(err))
	}
	if err := u.knock(ready); err != nil {
		return nil, interrupted(ctx, err)
	}
	if err := u.takesOver(ctx); err != nil {
		return nil, interrupted(ctx, err)
	}
	u.progress.say("%s serves on %s, after %v", nameOf(u.fresh), u.fresh.Addr, time.Since(u.began).Round(time.Millisecond))
	if err := u.soaks(ctx); err != nil {
		return nil, interrupted(ctx, err)
	}
	old, err := u.old(ctx)
	return old, interrupted(ctx, err)
}

// takesOver says early what old will say late.
func (u *upgrade) takesOver(ctx context.Context) error {
	_, err := u.old(ctx)
	return err
}

var errInterrupted = errors.New("interrupted")

// interrupted tells an interruption from another error.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// isNew says whether an instance is the one that the command has started.
func (u *upgrade) isNew(f control.Found) bool {
	if slices.ContainsFunc(u.before, func(b control.Found) bool { return b.Instance == f.Instance }) {
		return false
	}
	if u.release == "" {
		return u.sibling.owns(f)
	}
	return f.Err == nil && f.Release == u.release && (!isReady(f) || u.isBeside(f))
}

// isBeside says whether an instance shares a port with one that may be replaced.
func (u *upgrade) isBeside(f control.Found) bool { return slices.ContainsFunc(u.targets, f.SharesPort) }

// disown leaves an instance of the release that was to be started elsewhere to who has started
// it, unless it serves beside the old one: it may be another service's. err says why we do not
// wait for it any more.
func (u *upgrade) disown(err error) error {
	if u.release == "" || u.isBeside(u.fresh) {
		return err
	}
	u.fresh = control.Found{}
	is, findErr := findOne(context.Background(), func(f control.Found) bool { return f.Err == nil && f.Release == u.release && !u.isBeside(f) })
	switch {
	case findErr != nil || is.Instance == "":
		return err
	case !isReady(is):
		return fmt.Errorf("%w; it is left to what has started it", err)
	}
	return fmt.Errorf("%w; %s serves on %s, where none of these does: %s; if it is the new release, stop it, and give it the same addresses", err, nameOf(is), is.Addr, places(u.targets))
}

// old returns the instances that the new one replaces, as they are now.
func (u *upgrade) old(ctx context.Context) (old []control.Found, err error) {
	all, err := control.Find(ctx, askTimeout)
	if err != nil {
		return nil, err
	}
	return u.pick(all)
}

// pick returns those of all that the new one replaces. Each of their ports has to be its port,
// too, and nobody else may have come to a port meanwhile: of two upgrades at once each would
// leave the other's new release.
func (u *upgrade) pick(all []control.Found) (old []control.Found, err error) {
	for _, f := range all {
		known := slices.IndexFunc(u.before, func(b control.Found) bool { return b.Instance == f.Instance })
		switch {
		case f.Instance == u.fresh.Instance || f.Err != nil || f.UID != u.fresh.UID || f.State == overlap.StateRetiring.String():
		case known < 0 && f.SharesPort(u.fresh):
			return nil, fmt.Errorf("%s has come meanwhile, as if by another upgrade", nameOf(f))
		case known >= 0 && isReady(f) && u.means(f):
			f.Requests = u.before[known].Requests // what it answers from then on counts
			old = append(old, f)
		}
	}
	if i := slices.IndexFunc(u.before, u.means); i >= 0 && len(old) == 0 {
		return nil, fmt.Errorf("%s does not serve any more, before this command has told it to leave", nameOf(u.before[i]))
	}
	if len(old) == 0 {
		return nil, fmt.Errorf("%s listens on %s, where nobody else does: %s; give it the same addresses", nameOf(u.fresh), u.fresh.Addr, places(u.before))
	}
	for _, f := range old {
		if err := u.covers(f); err != nil {
			return nil, err
		}
	}
	return old, nil
}

// means says whether an instance is to be replaced.
func (u *upgrade) means(f control.Found) bool {
	return u.isTarget(f) && (u.from.isSaid() || f.SharesPort(u.fresh))
}

// isTarget says whether an instance may be replaced.
func (u *upgrade) isTarget(f control.Found) bool {
	return slices.ContainsFunc(u.targets, func(t control.Found) bool { return t.Instance == f.Instance })
}

// covers says whether the new instance does on each port of an old one what that does.
func (u *upgrade) covers(old control.Found) error {
	for _, p := range old.Ports {
		i := slices.IndexFunc(u.fresh.Ports, func(q control.Port) bool { return p.Addr == q.Addr })
		switch {
		case i < 0:
			return fmt.Errorf("%s does not listen on %s, where %s does: give it the same addresses", nameOf(u.fresh), p.Addr, nameOf(old))
		case p.TLS != u.fresh.Ports[i].TLS:
			return fmt.Errorf("on %s one of %s and %s speaks TLS and the other does not: clients of the one would not understand the other", p.Addr, nameOf(u.fresh), nameOf(old))
		}
	}
	return nil
}

// knock has the new instance see for itself that new connections come to it.
func (u *upgrade) knock(ctx context.Context) error {
	s, err := control.Knock(ctx, u.fresh.Instance)
	if err != nil {
		return fmt.Errorf("%s: %w", nameOf(u.fresh), err)
	}
	for _, p := range s.Ports {
		if p.Accepted == 0 && s.Tier == (overlap.Tier{Lossless: true}).String() {
			return fmt.Errorf("%s has accepted no connection on %s", nameOf(u.fresh), p.Addr)
		}
	}
	return nil
}

// soaks sees that the new instance serves on for a while.
func (u *upgrade) soaks(ctx context.Context) error {
	if u.soak <= 0 {
		return nil
	}
	u.progress.show("%s soaks for %v", nameOf(u.fresh), u.soak)
	soaking, stop := context.WithTimeout(ctx, u.soak)
	defer stop()
	return cmp.Or(u.servesOn(soaking), ctx.Err())
}

// servesOn returns when the new instance does not serve any more, or ctx has ended.
func (u *upgrade) servesOn(ctx context.Context) error {
	ended := u.sibling.ended
	if u.release != "" {
		ended = nil
	}
	for {
		if until, bounded := ctx.Deadline(); bounded {
			u.progress.tick("%s soaks, %v to go", nameOf(u.fresh), time.Until(until).Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			return u.sibling.failure("after it was ready")
		case <-time.After(watchEvery):
		}
		s, err := inTime(ctx, control.Ask, u.fresh)
		if err == nil && s.State != overlap.StateServing.String() {
			err = fmt.Errorf("it is %s", s.State)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s does not serve on: %w", nameOf(u.fresh), err)
		}
	}
}

// watchEvery is how often we look at the new instance.
const watchEvery = 500 * time.Millisecond

// hear shows what an instance that leaves does.
func (u *upgrade) hear(f control.Found) func(control.Event) {
	return func(e control.Event) {
		switch {
		case e.Notice != "":
			u.progress.say("%s: %s", nameOf(f), e.Notice)
		case e.Phase != "":
			u.progress.show("%s: %s", nameOf(f), e.Phase)
		case e.Status != nil:
			u.progress.tick("%s: %s, %d busy, %d idle", nameOf(f), stateOf(*e.Status, time.Now()),
				e.Status.Connections.Active+e.Status.Connections.Hijacked, e.Status.Connections.Idle)
		}
	}
}
