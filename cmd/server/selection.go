package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
	"github.com/spf13/cobra"
)

// selection is which instances are meant.
type selection struct {
	releases []string
	pids     []int
	allBut   string
	ways     string // in which it can be said
}

func (sel *selection) byPID(cmd *cobra.Command) {
	sel.ways = "by RELEASE or --pid"
	cmd.Flags().IntSliceVar(&sel.pids, "pid", nil, "the instances with these process `ids`")
}

func (sel *selection) byPIDOrRest(cmd *cobra.Command) {
	sel.byPID(cmd)
	sel.ways = "by RELEASE, --pid or --all-but"
	cmd.Flags().StringVar(&sel.allBut, "all-but", "", "all but those of this `release`")
}

// isSaid says whether anybody is meant.
func (sel selection) isSaid() bool { return len(sel.releases)+len(sel.pids) > 0 || sel.allBut != "" }

func (sel selection) validate() error {
	said := 0
	for _, is := range []bool{len(sel.releases) > 0, len(sel.pids) > 0, sel.allBut != ""} {
		if is {
			said++
		}
	}
	if said != 1 {
		return errors.New("say which instances, in one way: " + sel.ways)
	}
	return nil
}

// find returns the instances that are meant. Each that was named has to be there.
func (sel selection) find(ctx context.Context) (meant []control.Found, err error) {
	all, err := control.Find(ctx, askTimeout)
	if err != nil {
		return nil, err
	}
	meant, err = sel.pick(all)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, present(all))
	}
	return meant, nil
}

func (sel selection) pick(all []control.Found) (meant []control.Found, err error) {
	if sel.allBut != "" {
		return butOne(all, sel.allBut)
	}
	for _, release := range sel.releases {
		named, err := ofRelease(all, release)
		if err != nil {
			return nil, err
		}
		meant = append(meant, named...)
	}
	for _, pid := range sel.pids {
		is, err := ofPID(all, pid)
		if err != nil {
			return nil, err
		}
		meant = append(meant, is)
	}
	return meant, nil
}

// ofRelease returns the instances of one service that have this name.
func ofRelease(all []control.Found, release string) (named []control.Found, err error) {
	if release == "" {
		return nil, errors.New("a release without a name is said by --pid")
	}
	for _, f := range all {
		if f.Err == nil && f.Release == release {
			named = append(named, f)
		}
	}
	if len(named) == 0 {
		return nil, fmt.Errorf("there is no instance of %s", release)
	}
	for _, f := range named[1:] {
		if !f.SharesPort(named[0]) {
			return nil, fmt.Errorf("several services have a release %s, say which by its process id", release)
		}
	}
	return named, nil
}

// ofPID returns the instance with this number. Each container has its own: here it is that
// of one process only.
func ofPID(all []control.Found, pid int) (is control.Found, err error) {
	var named []control.Found
	for _, f := range all {
		if f.PID == pid {
			named = append(named, f)
		}
	}
	i := max(0, slices.IndexFunc(named, func(f control.Found) bool { return f.Here }))
	switch {
	case len(named) == 0:
		return is, fmt.Errorf("there is no instance with pid %d", pid)
	case len(named) > 1 && !named[i].Here:
		return is, fmt.Errorf("several containers have a process %d, name the release that is meant", pid)
	}
	return named[i], named[i].Err
}

// butOne returns the others that share a port with a release, of which one has to serve:
// else nobody would.
func butOne(all []control.Found, release string) (others []control.Found, err error) {
	stay, err := ofRelease(all, release)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(stay, func(f control.Found) bool { return f.State == overlap.StateServing.String() }) {
		return nil, fmt.Errorf("no instance of %s serves, so nobody would be left; one that is dark wants \"server pin %[1]s\" first", release)
	}
	for _, f := range all {
		if f.Err == nil && f.Release != release && f.SharesPort(stay[0]) {
			others = append(others, f)
		}
	}
	if len(others) == 0 {
		return nil, fmt.Errorf("nobody shares a port with %s", release)
	}
	return others, nil
}

// choosing leaves out instances that are not meant, and minds none that is not there. A script
// whose variable is empty, or to whom its supervisor says 0, means nobody, and not any.
type choosing struct {
	releases []string
	pids     []int
}

func (c *choosing) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&c.releases, "release", nil, "instances of this `release`; can be repeated")
	cmd.Flags().IntSliceVar(&c.pids, "pid", nil, "the instances with these process `ids`")
}

func (c choosing) means(f control.Found) bool {
	return (c.releases == nil || slices.Contains(c.releases, f.Release)) && (c.pids == nil || slices.Contains(c.pids, f.PID))
}

// present names the instances that there are.
func present(all []control.Found) string {
	if len(all) == 0 {
		return errNoInstance.Error()
	}
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = nameOf(f)
	}
	return "there are " + strings.Join(names, ", ")
}

// places names them with where they listen.
func places(all []control.Found) string {
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = nameOf(f)
		if f.Addr != "" {
			names[i] += " on " + f.Addr
		}
	}
	return "there are " + strings.Join(names, ", ")
}

func nameOf(f control.Found) string {
	if f.Err != nil {
		return fmt.Sprintf("pid %d, which does not answer", f.PID)
	}
	return fmt.Sprintf("%s (pid %d)", titleOf(f.Status), f.PID)
}

// titleOf is the release of an instance, or its program where that has no name for it.
func titleOf(s control.Status) string { return cmp.Or(s.Release, filepath.Base(s.Program)) }
