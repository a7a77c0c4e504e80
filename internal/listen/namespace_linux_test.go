package listen

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// childEnv names, in the environment of a child process, the test that it runs.
const childEnv = "OVERLAP_LISTEN_TEST_CHILD"

// isChild says whether this process was started by the same test in another one.
func isChild(t *testing.T) bool { return os.Getenv(childEnv) == t.Name() }

// again prepares to run the calling test once more, in a process of its own.
func again(t *testing.T) *exec.Cmd {
	t.Helper()
	// The link, not the path: another user may not be able to walk there.
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	// Without this the race detector waits for a second at the end of each process.
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name(), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return cmd
}

// inOwnNetwork runs f in a child process with a network of its own, in which it
// may do what takes root elsewhere. Such tests run at the same time as others.
func inOwnNetwork(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	inOwn(t, syscall.CLONE_NEWNET, func(t *testing.T) {
		bringUpLoopback(t)
		f(t)
	})
}

// inOwn runs f in a child process with namespaces of its own.
func inOwn(t *testing.T, namespaces uintptr, f func(t *testing.T)) {
	t.Helper()
	if isChild(t) {
		f(t)
		return
	}
	t.Parallel()
	cmd := again(t)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | namespaces,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		for _, refusal := range []error{syscall.EPERM, syscall.ENOSPC, syscall.EINVAL, syscall.ENOSYS} {
			if errors.Is(err, refusal) {
				t.Skipf("this host does not let us have namespaces of our own: %v", err)
			}
		}
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Fatalf("in namespaces of its own: %v\n%s", err, out.Bytes())
	}
}

func bringUpLoopback(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatalf("bring up lo: %v", err)
	}
}

func setSysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}
