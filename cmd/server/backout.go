package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/ba995850/overlap/internal/control"
)

// backOut stops the new release, because of err, unless it is needed by now.
func (u *upgrade) backOut(err error) error {
	if u.isNeeded() {
		return fmt.Errorf("%w; nobody else serves any more: %s stays in place", err, nameOf(u.fresh))
	}
	how := control.Retire
	if u.isCovered() {
		how = control.HandOver // to the old ones, or not at all
	}
	u.progress.say("stopping the new release; Ctrl-C leaves it as it is")
	dismissed := u.sibling.dismiss(u.fresh, how, u.hear(u.fresh))
	errs := []error{fmt.Errorf("%w; %s", err, u.howOldOnesAre()), dismissed}
	if u.output == nil {
		return errors.Join(append(errs, fmt.Errorf("see journalctl --identifier=%s", u.identifier()))...)
	}
	if tail := u.output.lastLines(); tail != "" {
		errs = append(errs, fmt.Errorf("the last lines of the new release, from %s:\n%s", u.output.Name(), tail))
	}
	return errors.Join(errs...)
}

// isNeeded says whether the new release is the only one left that serves its ports: what it
// was to replace has crashed meanwhile, or somebody else has stopped it.
func (u *upgrade) isNeeded() bool {
	all, err := control.Find(context.Background(), askTimeout)
	left := slices.DeleteFunc(all, func(f control.Found) bool { return !serves(f) || !f.SharesPort(u.fresh) })
	return err == nil && u.isBeside(u.fresh) && len(left) == 1 && left[0].Instance == u.fresh.Instance
}

// isCovered says whether on each port of the new release an old one listens, too. A port that
// it has for itself nobody can take over from it.
func (u *upgrade) isCovered() bool {
	return !slices.ContainsFunc(u.fresh.Ports, func(p control.Port) bool {
		one := u.fresh
		one.Ports = []control.Port{p}
		return !u.isBeside(one)
	})
}

// howOldOnesAre looks, for they may have crashed.
func (u *upgrade) howOldOnesAre() string {
	is, err := findOne(context.Background(), func(f control.Found) bool { return serves(f) && u.isTarget(f) })
	if err != nil || is.Instance == "" {
		return "and the old release does not serve any more"
	}
	return "the old release serves on"
}

// outliveTerminal has neither a terminal that goes away, of which a shell and the kernel tell
// us one after the other, nor a pipe that nobody reads any more end the program before its
// work is done. (What is handled is not inherited by what we start; what is ignored is.)
func outliveTerminal() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE)
}
