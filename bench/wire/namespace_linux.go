package wire

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace with a thread in it, which is there for as long as
// the namespace has to be. What the thread does is done in the namespace: sockets and
// devices that it makes are there, and so are the processes that it starts.
type namespace struct {
	errands chan func()
	left    chan struct{} // closed when the thread is gone
}

// newNamespace makes a namespace, in which nothing but lo is up. It has to be left.
func newNamespace() (*namespace, error) {
	n := &namespace{errands: make(chan func()), left: make(chan struct{})}
	entered := make(chan error)
	go n.live(entered)
	if err := <-entered; err != nil {
		return nil, err
	}
	return n, nil
}

// live is the life of the thread. It is never unlocked, so it ends with the function and
// no other goroutine finds itself in the namespace.
func (n *namespace) live(entered chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread would not end but be parked, and keep the namespace. As long
		// as it is held here, it is another one that lives.
		defer runtime.UnlockOSThread()
		go n.live(entered)
		<-n.left
		return
	}
	defer close(n.left)
	err := unix.Unshare(unix.CLONE_NEWNET)
	switch {
	case errors.Is(err, unix.EPERM):
		err = fmt.Errorf("make a network namespace: %w (run it as root, or under unshare -r)", err)
	case err != nil:
		err = fmt.Errorf("make a network namespace: %w", err)
	default:
		err = bringUp("lo")
	}
	entered <- err
	if err != nil {
		return
	}
	for errand := range n.errands {
		errand()
	}
}

// do runs f on the namespace's thread.
func (n *namespace) do(f func() error) error {
	done := make(chan error)
	n.errands <- func() { done <- f() }
	return <-done
}

// leave ends the thread. The namespace is gone when its processes and sockets are.
func (n *namespace) leave() {
	close(n.errands)
	<-n.left
}
