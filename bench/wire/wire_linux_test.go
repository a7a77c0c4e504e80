package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Broken on purpose, and seen red:
//   - Dial makes its socket on whichever thread it runs: TestAWireCarriesConnections
//   - the thread of a namespace is unlocked when it ends, or Close leaves one:
//     TestNothingIsLeftOfAWireThatIsClosed
//   - Start without Pdeathsig: TestProgramsAtTheFarEndEndWithTheWire

// childEnv names, in the environment of a child process, the test that it runs.
const childEnv = "OVERLAP_WIRE_TEST_CHILD"

// asRoot runs f as root, be it that of a user namespace.
func asRoot(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if os.Geteuid() == 0 {
		f(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	for _, refusal := range []error{syscall.EPERM, syscall.ENOSPC, syscall.EINVAL, syscall.ENOSYS} {
		if errors.Is(err, refusal) {
			t.Skipf("not root, and this host does not let us have a user namespace: %v", err)
		}
	}
	if bytes.Contains(out, []byte("--- SKIP: "+t.Name())) {
		t.Skipf("not root, and in a user namespace: %s", out)
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("in a user namespace: %v\n%s", err, out)
	}
}

// open opens a wire for a test. Where there can be none, as in most containers, it skips
// the test. In CI, which says so by OVERLAP_NEED_TOOLS, root has to have one.
func open(t *testing.T, spec Spec) *Wire {
	t.Helper()
	w, err := Open(spec, 1)
	needed := os.Getenv("OVERLAP_NEED_TOOLS") != "" && os.Getenv(childEnv) == ""
	if !needed && (errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist)) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// echo echoes at the far end, until the test ends.
func echo(t *testing.T, w *Wire) {
	t.Helper()
	var ln net.Listener
	err := w.servers.do(func() (err error) {
		ln, err = net.Listen("tcp", ServerAddr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
}

func soon() time.Time { return time.Now().Add(20 * time.Second) }

func TestAWireCarriesConnections(t *testing.T) {
	asRoot(t, func(t *testing.T) {
		w := open(t, Spec{RoundTrip: 40 * ms})
		echo(t, w)
		began := time.Now()
		conn, err := w.Dial(ServerAddr, soon())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if took := time.Since(began); took < 40*ms {
			t.Errorf("connected within %v, a round trip is 40ms", took)
		}
		sent := bytes.Repeat([]byte("all of it "), 20_000)
		go conn.Write(sent)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came back wrong: %v", len(sent), err)
		}
		if from := conn.LocalAddr().String(); !strings.HasPrefix(from, "198.19.0.") {
			t.Errorf("the client called from %s", from)
		}
		seen, err := w.Traffic()
		least := len(sent) / mtu
		if err != nil || seen.ToServers.Packets < least || seen.ToClients.Packets < least || seen.ToServers.Overrun > 0 {
			t.Errorf("the wire has seen %+v of more than %d packets: %v", seen, 2*least, err)
		}
	})
}

func TestAWireThatLosesPacketsIsOnlySlow(t *testing.T) {
	asRoot(t, func(t *testing.T) {
		w := open(t, Spec{10 * ms, 0.1, ms, 0.1})
		echo(t, w)
		conn, err := w.Dial(ServerAddr, soon())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		sent := bytes.Repeat([]byte("all of it "), 20_000)
		go conn.Write(sent)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came back wrong: %v", len(sent), err)
		}
		seen, _ := w.Traffic()
		if seen.ToServers.Dropped == 0 || seen.ToClients.Dropped == 0 || seen.ToServers.Reordered+seen.ToClients.Reordered == 0 {
			t.Errorf("nothing was lost or reordered one way: %+v", seen)
		}
	})
}

func TestWhoIsNotRootIsToldWhatToDo(t *testing.T) {
	if os.Geteuid() == 0 {
		nobody(t)
		return
	}
	if _, err := Open(Spec{}, 1); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("the error is %v", err)
	}
}

// nobody runs the test again as an ordinary user.
func nobody(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}

func TestACallSaysWhyItFailed(t *testing.T) {
	asRoot(t, func(t *testing.T) {
		w := open(t, Spec{RoundTrip: 10 * ms})
		if _, err := w.Dial(ServerAddr, soon()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("where nobody listens: %v", err)
		}
		var network net.Error
		if _, err := w.Dial(ServerAddr, time.Now().Add(5*ms)); !errors.As(err, &network) || !network.Timeout() {
			t.Errorf("within less than a round trip: %v", err)
		}
	})
}

func TestProgramsAtTheFarEndEndWithTheWire(t *testing.T) {
	asRoot(t, func(t *testing.T) {
		w := open(t, Spec{})
		cmd := exec.Command("sleep", "60")
		if err := w.Start(cmd); err != nil {
			t.Fatal(err)
		}
		mine, _ := os.Readlink("/proc/self/ns/net")
		its, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "ns/net"))
		if err != nil || its == mine {
			t.Errorf("the program is in %s, as this one is: %v", its, err)
		}
		w.Close()
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("the program ended with %v, should have been killed", cmd.ProcessState)
		}
	})
}

func TestNothingIsLeftOfAWireThatIsClosed(t *testing.T) {
	asRoot(t, func(t *testing.T) {
		before := descriptors(t)
		w := open(t, Spec{})
		if strangers(t) != 2 {
			t.Errorf("%d threads are in other namespaces, should be one at each end", strangers(t))
		}
		w.Close()
		deadline := soon()
		for strangers(t) > 0 || descriptors(t) > before {
			if time.Now().After(deadline) {
				t.Fatalf("%d threads are in other namespaces, and %d descriptors open, %d before", strangers(t), descriptors(t), before)
			}
		}
	})
}

// strangers counts the threads of this process that are in another network namespace.
func strangers(t *testing.T) (n int) {
	t.Helper()
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	all, _ := filepath.Glob("/proc/self/task/*/ns/net")
	for _, ns := range all {
		if at, err := os.Readlink(ns); err == nil && at != home {
			n++
		}
	}
	return n
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
