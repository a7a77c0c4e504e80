// Broken on purpose, and seen red:
//
//   - what is no socket is taken for one: TestAFileIsNoSocket
//   - the highest number wins: TestTheHolderOfASocketIsNamed
package holder

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// socket opens a listener, and returns it as a file with its inode.
func socket(t *testing.T) (*os.File, uint64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	must(t, err)
	t.Cleanup(func() { file.Close() })
	return file, inode(t, file)
}

func inode(t *testing.T, file *os.File) uint64 {
	t.Helper()
	var st syscall.Stat_t
	must(t, syscall.Fstat(int(file.Fd()), &st))
	return st.Ino
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A child that has the socket, too, does not take its parent's place.
func TestTheHolderOfASocketIsNamed(t *testing.T) {
	file, socket := socket(t)
	cmd := exec.Command("cat")
	cmd.ExtraFiles = []*os.File{file}
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	defer cmd.Wait()
	defer in.Close()
	comm, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	want := Process{PID: os.Getpid(), Program: strings.TrimSpace(string(comm))}
	if got := Of(socket)[socket]; got != want {
		t.Errorf("%v holds it, want %v", got, want)
	}
}

func TestAFileIsNoSocket(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	defer file.Close()
	if n := inode(t, file); len(Of(n)) > 0 {
		t.Error("a file is taken for a socket")
	}
	if got := Of()[0].String(); got != "a process that cannot be seen from here" {
		t.Errorf("nobody is %q", got)
	}
}
