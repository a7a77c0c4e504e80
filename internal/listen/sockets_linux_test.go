package listen

import (
	"net"
	"slices"
	"testing"
)

// Broken on purpose, and seen red: only one family; connections, too; unix sockets, too.
func TestOurSocketsAreThoseThatListen(t *testing.T) {
	before := Sockets()
	var want []uint64
	for _, addr := range []string{loopback, "[::1]:0", ":0"} {
		ln, err := net.Listen("tcp", addr) // which is MPTCP, as Go does it
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { want = append(want, inodeOf(int(fd))) })
	}
	other, err := net.Listen("unix", "@"+t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	got := without(Sockets(), before)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("we listen on %v, want %v", got, want)
	}
}

func without(all, some []uint64) []uint64 {
	return slices.DeleteFunc(all, func(n uint64) bool { return slices.Contains(some, n) })
}
