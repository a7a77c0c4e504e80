package recipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// roleSystemd is the process that becomes systemd.
const roleSystemd = "systemd"

// systemdEnv is the process id of a systemd that runs, as the sealed machine sees it.
const systemdEnv = "OVERLAP_RECIPE_SYSTEMD"

const systemdProgram = "/lib/systemd/systemd"

// Systemd is a real one, process 1 of process ids, mounts and control groups of its own.
// Root directory and network are those of the sealed machine, so that a test reaches all
// that systemd starts. As long as it runs, all commands of this package are run where its
// services are.
type Systemd struct {
	t     testing.TB
	cmd   *exec.Cmd
	group string // its control group
}

// BootSystemd boots a systemd, which ends with the test, and all that it has started with
// it. It has its journal and the units that are installed, but starts only what a test
// enables.
func BootSystemd(t testing.TB) *Systemd {
	t.Helper()
	Need(t, systemdProgram, "systemd")
	if os.Getenv(roleEnv) != roleTest {
		t.Fatal("a systemd is booted in a sealed machine only: see Main")
	}
	s := &Systemd{t: t}
	t.Cleanup(s.powerCut)
	t.Setenv(systemdEnv, "") // boot sets it, and the end of the test undoes that, once
	s.boot()
	return s
}

// Systemctl runs systemctl, and returns what it has printed. The test fails if it does.
func (s *Systemd) Systemctl(args ...string) string {
	s.t.Helper()
	return Run(s.t, "systemctl", args...)
}

// Show returns a property of a unit.
func (s *Systemd) Show(unit, property string) string {
	s.t.Helper()
	out, err := command("systemctl", "show", "--value", "--property", property, unit).Output()
	if err != nil {
		s.t.Fatalf("systemctl show %s: %v", unit, err)
	}
	return strings.TrimSpace(string(out))
}

// Reboot reboots: systemd stops all services, ends, and is started again. What was in /run
// is gone.
func (s *Systemd) Reboot() {
	s.t.Helper()
	// systemctl may be killed by what it has asked for.
	out, _ := command("systemctl", "reboot").CombinedOutput()
	hang := time.AfterFunc(2*time.Minute, func() { s.cmd.Process.Kill() })
	defer hang.Stop()
	err := s.cmd.Wait()
	// In a PID namespace reboot(2) ends process 1 by this signal.
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != unix.SIGHUP {
		s.t.Fatalf("systemd did not reboot, but ended: %v\n%s", err, out)
	}
	s.powerCut()
	s.boot()
}

// boot starts process 1, and waits until it has started all that it should.
func (s *Systemd) boot() {
	s.t.Helper()
	hierarchy, err := unifiedHierarchy()
	if err != nil {
		s.t.Fatal(err)
	}
	if s.group, err = os.MkdirTemp(hierarchy, "systemd-"); err != nil {
		s.t.Fatal(err)
	}
	group, err := os.Open(s.group)
	if err != nil {
		s.t.Fatal(err)
	}
	defer group.Close()
	s.cmd = exec.Command("/proc/self/exe")
	s.cmd.Env = []string{roleEnv + "=" + roleSystemd}
	s.cmd.Stdout, s.cmd.Stderr = s.t.Output(), s.t.Output()
	s.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		UseCgroupFD: true, CgroupFD: int(group.Fd()),
		Setsid: true,
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("systemd: %v", err)
	}
	os.Setenv(systemdEnv, strconv.Itoa(s.cmd.Process.Pid))
	var state []byte
	Eventually(s.t, "systemd is up", func() bool {
		state, err = command("systemctl", "is-system-running", "--wait").Output()
		return err == nil || strings.HasPrefix(string(state), "degraded")
	})
	if err != nil {
		s.t.Fatalf("systemd is %s: %s", state, Run(s.t, "systemctl", "list-units", "--failed"))
	}
}

// powerCut ends systemd, and with process 1 the kernel ends all others.
func (s *Systemd) powerCut() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	if err := removeGroup(s.group); err != nil {
		s.t.Error(err)
	}
}

// command is one that is run where systemd's services are, if one runs.
func command(name string, args ...string) *exec.Cmd {
	here, _ := os.Getwd() // the folder of the recipe
	return commandIn(here, name, args...)
}

func commandIn(dir, name string, args ...string) *exec.Cmd {
	init := os.Getenv(systemdEnv)
	if init == "" {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		return cmd
	}
	// Who enters another mount namespace is in its root directory; setns(2).
	enter := []string{"--target", init, "--mount", "--pid", "--cgroup", "env", "--chdir=" + dir, name}
	return exec.Command("nsenter", append(enter, args...)...)
}

// unifiedHierarchy returns where control groups of version 2 are.
func unifiedHierarchy() (string, error) {
	all, err := hierarchies()
	if err != nil {
		return "", err
	}
	for _, dir := range all {
		var is unix.Statfs_t
		if err := unix.Statfs(dir, &is); err == nil && is.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir, nil
		}
	}
	return "", errors.New("systemd needs control groups of version 2, and none are mounted")
}

// becomeSystemd is the last that Go does in process 1 of a systemd.
func becomeSystemd() error {
	// Control groups are those of a thread.
	runtime.LockOSThread()
	steps := []func() error{
		func() error { return os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_NEWCGROUP)) },
		func() error { return mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return processes("/proc") },
		func() error { return mount("tmpfs", "/run", "tmpfs", 0, "mode=755") },
		func() error {
			return mount("cgroup2", "/sys/fs/cgroup", "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("become systemd: %w", err)
		}
	}
	// As in a container it leaves mounts alone when it ends; systemd.io/CONTAINER_INTERFACE.
	// Generators would make units of what is installed for init(8) and fstab(5).
	env := []string{"container=recipe", "PATH=" + os.Getenv("PATH"), "SYSTEMD_GENERATOR_PATH=/nowhere"}
	return syscall.Exec(systemdProgram, []string{systemdProgram, "--system", "--unit=multi-user.target"}, env)
}

// enableNothing removes what Debian and its packages have enabled, but for the journal, and
// the bus, by which systemd-run(1) speaks to systemd. It does so when the machine is sealed:
// what a test enables stays enabled.
func enableNothing() error {
	for _, dir := range []string{"/lib/systemd/system", "/etc/systemd/system"} {
		links, _ := filepath.Glob(filepath.Join(dir, "*.wants", "*"))
		for _, link := range links {
			if name := filepath.Base(link); strings.HasPrefix(name, "systemd-journald") || name == "dbus.socket" {
				continue
			}
			if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
