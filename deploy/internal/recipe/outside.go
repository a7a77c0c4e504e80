package recipe

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is what a recipe could have changed outside: files, mounts, control groups,
// sysctls. It maps what there is to how it is.
type machine map[string]string

// shared are the directories that all programs of the machine write to: what is new there
// may be somebody else's, and what they have just made they may remove. What is old has to
// stay there.
var shared = []string{"/tmp", "/var/tmp"}

// watched are directories of which nothing may change.
var watched = []string{"/dev", "/run", "/etc", "/opt", "/srv", "/usr/local", "/usr/lib/systemd", "/var/lib"}

// look notes how the machine is.
func look() (machine, error) {
	is := machine{}
	for _, dir := range shared {
		is.files(dir, 1)
	}
	for _, dir := range watched {
		is.files(dir, 3)
	}
	is.sysctls()
	return is, errors.Join(is.controlGroups(), is.mounts())
}

// files notes what is in a directory, down to a depth: which file it is, and its mode.
func (is machine) files(dir string, depth int) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir // gone meanwhile, or not ours to read
		}
		if stat, ok := info(d).(*syscall.Stat_t); ok {
			is[path] = fmt.Sprintf("inode %d, mode %o, owner %d", stat.Ino, stat.Mode, stat.Uid)
		}
		if d.IsDir() && strings.Count(strings.TrimPrefix(path, dir), "/") >= depth {
			return fs.SkipDir
		}
		return nil
	})
}

// old is how long nobody has changed what has to stay in a shared directory.
const old = time.Hour

// forgetTheNew forgets what is in the shared directories and is not old.
func (is machine) forgetTheNew() {
	for path := range is {
		file, err := os.Lstat(path)
		if anybodys(path) && (err != nil || time.Since(file.ModTime()) < old || anothers(path)) {
			delete(is, path)
		}
	}
}

// ours begins the names of our marks. Another sealed machine has others, and removes them.
func ours() string { return sealedName + "mark-" + strconv.Itoa(os.Getpid()) + "-" }

// anothers says whether a file is that of another sealed machine.
func anothers(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, sealedName) && !strings.HasPrefix(name, ours())
}

// mark puts an old file in each of the shared directories: there is one to miss. It returns
// how they are removed.
func mark() (remove func(), err error) {
	var marks []string
	remove = func() {
		for _, path := range marks {
			os.Remove(path)
		}
	}
	// systemd-tmpfiles removes from /tmp what is 10 days old, and from /var/tmp 30.
	ago := time.Now().AddDate(-1, 0, 0)
	for _, dir := range shared {
		f, err := os.CreateTemp(dir, ours())
		if err != nil {
			return remove, err
		}
		f.Close()
		marks = append(marks, f.Name())
		if err := os.Chtimes(f.Name(), ago, ago); err != nil {
			return remove, err
		}
	}
	return remove, nil
}

func info(d fs.DirEntry) any {
	if i, err := d.Info(); err == nil {
		return i.Sys()
	}
	return nil
}

// sysctls notes those that somebody has set, and not those with which the kernel counts.
func (is machine) sysctls() {
	_ = filepath.WalkDir("/proc/sys", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || counts(path) {
			return nil
		}
		if i, err := d.Info(); err != nil || i.Mode()&0o200 == 0 {
			return nil
		}
		if value, err := os.ReadFile(path); err == nil {
			is[path] = strings.TrimSpace(string(value))
		}
		return nil
	})
}

func counts(sysctl string) bool {
	return strings.HasPrefix(sysctl, "/proc/sys/kernel/random/") ||
		slices.Contains([]string{"/proc/sys/kernel/ns_last_pid", "/proc/sys/fs/binfmt_misc/status"}, sysctl)
}

// controlGroups notes those at the top: supervisors make theirs there, and what is below may
// be somebody else's. Whether those of our sealed machine are gone is seen when they are
// removed; there may be others at the same time.
func (is machine) controlGroups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range all {
		groups, err := os.ReadDir(hierarchy)
		if err != nil {
			return err
		}
		for _, group := range groups {
			if group.IsDir() && !strings.HasPrefix(group.Name(), sealedName) {
				is[filepath.Join(hierarchy, group.Name())] = "control group"
			}
		}
	}
	return nil
}

func (is machine) mounts() error {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 5 {
			is["mount "+fields[0]] = strings.Join(fields[3:6], " ")
		}
	}
	return nil
}

// same returns what is not as it was.
func (is machine) same(now machine) error {
	var changes []error
	for _, name := range slices.Sorted(maps.Keys(is)) {
		switch how, there := now[name]; {
		case !there:
			changes = append(changes, fmt.Errorf("%s is gone: %s", name, is[name]))
		case how != is[name]:
			changes = append(changes, fmt.Errorf("%s is %s, and was %s", name, how, is[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, there := is[name]; !there && !anybodys(name) {
			changes = append(changes, fmt.Errorf("%s is new: %s", name, now[name]))
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return fmt.Errorf("the machine outside is not as it was:\n%w", errors.Join(changes...))
}

func anybodys(path string) bool {
	return slices.ContainsFunc(shared, func(dir string) bool { return strings.HasPrefix(path, dir+"/") })
}
