package recipe

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchies returns where the control groups are mounted: once with version 2, for each
// controller with version 1, or both.
func hierarchies() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// proc_pid_mountinfo(5): the type is the first field behind a hyphen.
		before, after, _ := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(before); len(fields) > 4 && strings.HasPrefix(after, "cgroup") {
			all = append(all, fields[4])
		}
	}
	return all, nil
}

// joinControlGroups moves this process to control groups of its own, one in each hierarchy,
// and makes them the roots of what it and its children see. Namespaces and control groups
// are those of a thread: its caller must stay on its own.
func joinControlGroups(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range all {
		if err := join(filepath.Join(hierarchy, name)); err != nil {
			return err
		}
	}
	runtime.LockOSThread()
	return os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_NEWCGROUP))
}

func join(group string) error {
	if err := os.Mkdir(group, 0o755); err != nil {
		return err
	}
	// A new group of cpuset has no processors and takes nobody; cpuset(7).
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		parents, err := os.ReadFile(filepath.Join(filepath.Dir(group), file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(group, file), parents, 0); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0)
}

// mountControlGroups shows, below a root directory, our own groups and no others.
func mountControlGroups(root, name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	const where = "/sys/fs/cgroup"
	if err := mount(where, filepath.Join(root, where), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	for _, hierarchy := range all {
		if strings.HasPrefix(hierarchy, root) {
			continue
		}
		if err := mount(filepath.Join(hierarchy, name), filepath.Join(root, hierarchy), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// removeControlGroups removes the groups of a sealed machine that has ended, and those that
// supervisors have made in them. The kernel may take a moment to forget the processes.
func removeControlGroups(name string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var left []error
	for _, hierarchy := range all {
		left = append(left, removeGroup(filepath.Join(hierarchy, name)))
	}
	return errors.Join(left...)
}

func removeGroup(group string) error {
	var dirs []string
	_ = filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs) // children first
	for _, dir := range dirs {
		err := syscall.Rmdir(dir)
		for deadline := time.Now().Add(5 * time.Second); err == syscall.EBUSY && time.Now().Before(deadline); err = syscall.Rmdir(dir) {
			<-time.After(20 * time.Millisecond)
		}
		if err != nil {
			return fmt.Errorf("control group %s: %w", dir, err)
		}
	}
	return nil
}
