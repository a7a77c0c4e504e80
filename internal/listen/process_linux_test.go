package listen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Broken on purpose, and seen red:
//   - sockets are closed without shutdown: AChildThatInherited
//   - a pump ends for want of descriptors: AProcessWithoutDescriptors
//   - it is not known that the pumps are starved: AProcessWithoutDescriptors
//   - the table is opened when it is read: AProcessWithoutDescriptors
//   - Accept wraps the error of accept once more: AProcessWithoutDescriptors

// process is a child that runs the calling test once more and speaks with it, in
// lines, over two pipes: what it says is its descriptor 3, what it is told its
// standard input.
type process struct {
	tb   testing.TB
	name string
	said *bufio.Reader
	in   io.WriteCloser
}

// start runs cmd, made by again, with more files for the child from descriptor 4 on.
func start(t *testing.T, cmd *exec.Cmd, more ...*os.File) *process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	cmd.ExtraFiles = append([]*os.File{w}, more...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the child: %v", err)
		}
		r.Close()
	})
	return &process{tb: t, name: t.Name(), said: bufio.NewReader(r), in: in}
}

// hear returns the next line that the child says.
func (p *process) hear() string {
	p.tb.Helper()
	text, err := p.said.ReadString('\n')
	if err != nil {
		p.tb.Fatalf("the child has ended or says nothing: %v", err)
	}
	return strings.TrimSpace(text)
}

func (p *process) expect(want string) {
	p.tb.Helper()
	if got := p.hear(); got != want {
		p.tb.Fatalf("the child says %q, want %q", got, want)
	}
}

// goOn lets the child pass its next wait.
func (p *process) goOn() {
	p.tb.Helper()
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		p.tb.Fatal(err)
	}
}

// parent is the other end of a process, opened while there are descriptors.
type parent struct {
	out *os.File
	in  *bufio.Reader
}

func newParent() *parent { return &parent{out: os.NewFile(3, "parent"), in: bufio.NewReader(os.Stdin)} }

func (p *parent) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// wait returns when the parent says goOn, or ends.
func (p *parent) wait() { p.in.ReadString('\n') }

// A child that has inherited the descriptors of the sockets keeps them open: only
// shutdown takes them out of the group.
func TestAChildThatInheritedTheSocketsKeepsNothing(t *testing.T) {
	if isChild(t) {
		p := newParent()
		p.say("here")
		p.wait()
		return
	}
	a := joined(t, "A", "tcp4", loopback)
	b := joined(t, "B", "tcp4", a.Addr().String())
	c := joined(t, "C", "tcp4", a.Addr().String())
	inherited := append(a.sockets(), c.sockets()...)
	var files []*os.File
	for _, s := range inherited {
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	child := start(t, again(t), files...)
	child.expect("here")
	for _, s := range inherited { // os/exec has made them block, in both processes
		if err := s.control(func(fd int) error { return unix.SetNonblock(fd, true) }); err != nil {
			t.Fatal(err)
		}
	}
	land(t, a.Addr().String(), 100).expect(t, 100, "ABC")
	a.retire(t)
	land(t, a.Addr().String(), 200).expect(t, 200, "BC")
	c.leave(t) // still pinned
	land(t, a.Addr().String(), 200).expect(t, 200, "B")
	if !b.Alone() {
		t.Error("B is not alone")
	}
	child.goOn()
}

// exhaust leaves this process without a free descriptor and returns how to have
// some again.
func exhaust(t *testing.T) (relieve func()) {
	t.Helper()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 128, Max: 128}); err != nil {
		t.Fatal(err)
	}
	var taken []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, fd)
	}
	return func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
	}
}

const addressEnv = "OVERLAP_LISTEN_TEST_ADDRESS"

func TestAProcessWithoutDescriptorsCanRetire(t *testing.T) {
	if isChild(t) {
		retireWithoutDescriptors(t, newParent())
		return
	}
	const n = 60
	b := joined(t, "B", "tcp4", loopback)
	cmd := again(t)
	cmd.Env = append(cmd.Env, addressEnv+"="+b.Addr().String())
	a := start(t, cmd)
	a.expect("exhausted")
	all := waiting(t, b.Addr().String(), n)
	a.goOn()
	a.expect("told of it")
	a.expect("steered")
	land(t, b.Addr().String(), 100).expect(t, 100, "B")
	a.goOn()
	a.expect("not settled")
	a.expect("left")
	all.hear().expect(t, n, "AB")
	land(t, b.Addr().String(), 100).expect(t, 100, "B")
	if !b.Alone() {
		t.Error("B is not alone")
	}
	a.goOn()
}

// retireWithoutDescriptors is the child's side: member A, which can accept nothing.
func retireWithoutDescriptors(t *testing.T, p *parent) {
	a := listening(t, "A", "tcp4", os.Getenv(addressEnv))
	a.join(t)
	relieve := exhaust(t)
	p.say("exhausted")
	p.wait()
	for range 2 { // the pump goes on by itself
		if _, err := a.Accept(); !errors.Is(err, unix.EMFILE) {
			t.Fatalf("Accept: %v, want %v", err, unix.EMFILE)
		} else if ne := net.Error(nil); !errors.As(err, &ne) || strings.Count(err.Error(), "accept tcp") != 1 {
			t.Fatalf("Accept: %q, which net/http does not try again or which repeats itself", err)
		}
	}
	p.say("told of it")
	a.steer(t)
	p.say("steered")
	p.wait()
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if left, _, err := a.Settle(ctx); err != nil || left.Queued == 0 {
		t.Fatalf("settled without a descriptor: %+v left, %v", left, err)
	}
	p.say("not settled")
	relieve()
	a.serve(t, a)
	a.settle(t)
	a.leave(t)
	p.say("left")
	p.wait()
}

// asOther makes the child run as another user.
func asOther(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to start a process of another user")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}}
}

const nobody = 65534
