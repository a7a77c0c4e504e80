package recipe

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// What process 1 of the sealed machine is told: where it may work, and where the
// repository is.
const (
	dirEnv  = "OVERLAP_RECIPE_DIR"
	rootEnv = "OVERLAP_RECIPE_REPOSITORY"
)

// boot is process 1 of the sealed machine: it seals it, and runs the tests.
func boot() (int, error) {
	dir, repository := os.Getenv(dirEnv), os.Getenv(rootEnv)
	if err := joinControlGroups(filepath.Base(dir)); err != nil {
		return 1, fmt.Errorf("seal: %w", err)
	}
	if err := seal(dir, repository); err != nil {
		return 1, fmt.Errorf("seal: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return 1, err
	}
	if err := enableNothing(); err != nil {
		return 1, err
	}
	return reap()
}

// reap runs the tests, and waits also for the orphans that they leave, as process 1 has to.
func reap() (int, error) {
	os.Setenv(roleEnv, roleTest)
	pid, err := syscall.ForkExec("/proc/self/exe", append(os.Args[:1:1], arguments()...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return 1, fmt.Errorf("run the tests: %w", err)
	}
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case err == syscall.EINTR:
		case err != nil:
			return 1, os.NewSyscallError("wait4", err)
		case ended == pid && status.Signaled():
			return 1, fmt.Errorf("the tests were ended by %v", status.Signal())
		case ended == pid:
			return status.ExitStatus(), nil
		}
	}
}

// seal gives this process a root directory whose changes are in memory, and goes there.
func seal(dir, repository string) error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	root := filepath.Join(dir, "root")
	upper, work := filepath.Join(dir, "memory", "upper"), filepath.Join(dir, "memory", "work")
	steps := []func() error{
		func() error { return mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return mountAt("tmpfs", filepath.Join(dir, "memory"), "tmpfs", 0, "mode=755") },
		func() error { return makeAll(upper, work, root) },
		func() error {
			return mount("overlay", root, "overlay", 0, "lowerdir=/,upperdir="+upper+",workdir="+work)
		},
		func() error { return furnish(root) },
		func() error { return mountControlGroups(root, filepath.Base(dir)) },
		func() error { return install(dir, root) },
		func() error { return bindReadOnly(repository, filepath.Join(root, repository)) },
		func() error { return enter(root) },
		func() error { return os.Chdir(here) },
		func() error { return unix.Sethostname([]byte("sealed")) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// furnish mounts what a machine has beside its disk. Nothing of it is shared with the
// machine outside but the devices that have no state.
func furnish(root string) error {
	at := func(path string) string { return filepath.Join(root, path) }
	steps := []func() error{
		func() error { return processes(at("/proc")) },
		func() error { return mount("sysfs", at("/sys"), "sysfs", unix.MS_RDONLY, "") },
		func() error { return mountAt("tmpfs", at("/run"), "tmpfs", 0, "mode=755") },
		func() error { return mountAt("tmpfs", at("/tmp"), "tmpfs", 0, "mode=1777") },
		func() error { return mountAt("tmpfs", at("/var/tmp"), "tmpfs", 0, "mode=1777") },
		func() error { return devices(at("/dev")) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// processes mounts what the kernel says about them, and its sysctls: those that a network
// namespace has of its own may be set, the rest is the machine's.
func processes(proc string) error {
	sys, net := filepath.Join(proc, "sys"), filepath.Join(proc, "sys", "net")
	steps := []func() error{
		func() error { return mount("proc", proc, "proc", 0, "") },
		func() error { return mount(sys, sys, "", unix.MS_BIND, "") },
		func() error { return mount(net, net, "", unix.MS_BIND, "") },
		func() error { return mount("", sys, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func devices(dev string) error {
	at := func(name string) string { return filepath.Join(dev, name) }
	if err := mountAt("tmpfs", dev, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := os.WriteFile(at(name), nil, 0o666); err != nil {
			return err
		}
		if err := mount("/dev/"+name, at(name), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"} {
		if err := os.Symlink(target, at(name)); err != nil {
			return err
		}
	}
	// systemd's PrivateDevices mounts these again, and refuses to start a unit without.
	if err := makeAll(at("hugepages"), at("mqueue")); err != nil {
		return err
	}
	if err := mountAt("tmpfs", at("shm"), "tmpfs", 0, "mode=1777"); err != nil {
		return err
	}
	return mountAt("devpts", at("pts"), "devpts", 0, "newinstance,ptmxmode=0666,mode=620")
}

// install copies the programs to where they are in a sealed machine.
func install(dir, root string) error {
	for program, at := range map[string]string{"server": Server, "bench": bench} {
		content, err := os.ReadFile(filepath.Join(dir, program))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, at), content, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// enter makes root the root directory, and forgets the old one.
func enter(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// With the same directory twice the old root is on top of the new one; pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	return os.NewSyscallError("umount", unix.Unmount(".", unix.MNT_DETACH))
}

func bindReadOnly(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

func mountAt(source, target, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	return mount(source, target, kind, flags, data)
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return &os.PathError{Op: "mount " + kind, Path: target, Err: err}
	}
	return nil
}

func makeAll(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// loopbackUp does what "ip link set lo up" does; netdevice(7).
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("ioctl SIOCSIFFLAGS", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo))
}
