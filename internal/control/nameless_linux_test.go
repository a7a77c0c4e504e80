// Broken on purpose, and seen red: a number is a number, also the one that stands for all
// users without one.

package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const namelessEnv = "OVERLAP_TEST_NAMELESS"

// In a user namespace that has a number for nobody but us, 65534, all others have the same
// number as we.
func TestAUserWithoutANumberIsNobodysFriend(t *testing.T) {
	if os.Getenv(namelessEnv) != "" {
		beNameless(t)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), namelessEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: overflowUID, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: overflowUID, HostID: os.Getegid(), Size: 1}},
	}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("user namespaces are not allowed here: %v", err)
	} else {
		must(t, err)
	}
	said := bufio.NewScanner(out)
	name := hear(t, said, "endpoint ")
	ask := func() {
		c, err := net.Dial("unix", "@"+prefix+name)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "POST /v1/retire HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n") // may be refused already
		if said, _ := io.ReadAll(c); len(said) > 0 {
			t.Errorf("it said %q", said)
		}
	}
	ask() // we are the one with the number, but who could tell
	if os.Geteuid() == 0 {
		as(t, 65533, ask)
	}
	in.Close()
	if told := hear(t, said, "retired "); told != "0" {
		t.Errorf("it obeyed %s times", told)
	}
	must(t, cmd.Wait())
}

// beNameless opens an endpoint, and says in the end how often it was told to retire.
func beNameless(t *testing.T) {
	if os.Geteuid() != overflowUID {
		t.Fatalf("this is user %d", os.Geteuid())
	}
	s := new(stub)
	e := open(t, s)
	fmt.Println("endpoint", e.name)
	io.Copy(io.Discard, os.Stdin)
	e.Close() // by now all have been heard
	fmt.Println("retired", s.retired.Load())
}

// hear returns what a child says behind a word.
func hear(t *testing.T, said *bufio.Scanner, word string) string {
	t.Helper()
	for said.Scan() {
		if text, found := strings.CutPrefix(said.Text(), word); found {
			return text
		}
	}
	t.Fatalf("the child has ended without %s", word)
	return ""
}
