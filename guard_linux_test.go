package overlap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap/internal/listen"
)

// Who may share a port.
//
// Broken on purpose, and seen red:
//   - the guard is not asked: TestAPortOfAStrangerIsRefused
//   - AllowStrangers is not looked at: TestAStrangerMayBeAllowed
//   - the process of one that does not answer counts for nothing: TestAnInstanceThatIsStoppedIsNoStranger
//   - our own sockets are others': TestWhatThisProcessListensOnIsNoStranger
//   - the group is not read again: TestWhoHasLeftMeanwhileIsNoStranger
//   - it is looked once: TestWhoHasLeftMeanwhileIsNoStranger, TestWhoOpensAnEndpointMeanwhileIsNoStranger
//   - the endpoints are not looked for again: TestWhoOpensAnEndpointMeanwhileIsNoStranger
//   - who was no stranger at first is one later: TestWhoseEndpointClosesFirstIsNoStranger
//   - no release is said aloud, or every one: TestTwoOfOneReleaseAreSaidAloud

const soReuseport = 0xf

// strangerRole shares its port with whoever does so too, and is no instance.
func strangerRole(c config) error {
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		err2 := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReuseport, 1) })
		return errors.Join(err, err2)
	}}
	share.SetMultipathTCP(false)
	ln, err := share.Listen(context.Background(), "tcp", c.Addr)
	if err != nil {
		return err
	}
	tell(event{PID: os.Getpid(), State: "listening", Addr: fmt.Sprint([]net.Addr{ln.Addr()})})
	return http.Serve(ln, service(c.Release, listenToTest()))
}

func TestAPortOfAStrangerIsRefused(t *testing.T) {
	stranger := start(t, "stranger", config{})
	err := New(Options{}).Serve(&http.Server{Addr: stranger.addr})
	_, err2 := Listen(t.Context(), "tcp", stranger.addr)
	for _, err := range []error{err, err2} {
		if !errors.Is(err, ErrStranger) {
			t.Fatalf("it is shared: %v", err)
		}
		for _, says := range []string{stranger.addr, fmt.Sprintf("pid %d (exe)", stranger.pid), "Stop it", "another port", "--allow-strangers"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%q does not say %q", err, says)
			}
		}
	}
}

func TestAnInstanceWithoutAnEndpointIsAStranger(t *testing.T) {
	hidden := start(t, "serve", config{Release: "hidden", NoEndpoint: true})
	if _, err := Listen(t.Context(), "tcp", hidden.addr); !errors.Is(err, ErrStranger) {
		t.Errorf("it is shared: %v", err)
	}
}

func TestAStrangerMayBeAllowed(t *testing.T) {
	stranger := start(t, "stranger", config{})
	ln, err := Options{AllowStrangers: true}.Listen(t.Context(), "tcp", stranger.addr)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}

// Nor is one that is a bare Listener, or that has not begun to serve.
func TestAnInstanceOfAnotherProcessIsNoStranger(t *testing.T) {
	for _, role := range []string{"serve", "listen"} {
		other := start(t, role, config{Release: "other"})
		ln, err := Options{NoEndpoint: true}.Listen(t.Context(), "tcp", other.addr)
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}

func TestAnInstanceThatIsStoppedIsNoStranger(t *testing.T) {
	stopped := start(t, "serve", config{Release: "stopped"})
	stopped.signal(syscall.SIGSTOP)
	defer stopped.signal(syscall.SIGCONT)
	ln, err := Listen(t.Context(), "tcp", stopped.addr)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}

func TestWhatThisProcessListensOnIsNoStranger(t *testing.T) {
	first, err := Options{NoEndpoint: true}.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := Options{NoEndpoint: true}.Listen(t.Context(), "tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

func TestWhoHasLeftMeanwhileIsNoStranger(t *testing.T) {
	const gone, here = 1, 2 // no sockets have these inodes
	l := life{opts: &Options{NoEndpoint: true}}
	for last := 1; last < 4; last++ {
		looks := 0
		err := l.guard("127.0.0.1:80", func() []uint64 {
			if looks++; looks > last {
				return nil
			}
			return []uint64{gone}
		})
		if err != nil || looks != last+1 {
			t.Errorf("after %d looks: %v", looks, err)
		}
	}
	began := time.Now()
	err := l.guard("127.0.0.1:80", func() []uint64 { return []uint64{here} })
	if !errors.Is(err, ErrStranger) || time.Since(began) < strangerTime {
		t.Errorf("who has not left after %v is let in: %v", time.Since(began), err)
	}
}

// adminRole is a process of two instances, of which the second has the endpoint for both.
func adminRole(c config) error {
	first, err := Options{NoEndpoint: true}.Listen(context.Background(), "tcp", c.Addr)
	if err != nil {
		return err
	}
	test := listenToTest()
	tell(event{PID: os.Getpid(), State: "listening", Addr: fmt.Sprint([]net.Addr{first.Addr()})})
	<-test.channel("open")
	second, err := Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	tell(event{State: "open"})
	<-test.channel("close")
	second.Close()
	tell(event{State: "closed"})
	<-test.channel("end")
	return first.Close()
}

// socketsOn returns the inodes of all who listen on an address.
func socketsOn(t *testing.T, addr string) (sockets []uint64) {
	t.Helper()
	p, err := listen.LookAt(t.Context(), "tcp", addr)
	if err != nil || len(p.Members) == 0 {
		t.Fatalf("on %s there are %v, %v", addr, p.Members, err)
	}
	for _, m := range p.Members {
		sockets = append(sockets, m.Socket)
	}
	return sockets
}

func TestWhoOpensAnEndpointMeanwhileIsNoStranger(t *testing.T) {
	admin := start(t, "admin", config{})
	theirs := socketsOn(t, admin.addr)
	looks := 0
	l := life{opts: &Options{NoEndpoint: true}}
	err := l.guard(admin.addr, func() []uint64 {
		if looks++; looks == 2 {
			admin.say("open")
			admin.awaitStates("open")
		}
		return theirs
	})
	if err != nil || looks < 2 {
		t.Errorf("after %d looks: %v", looks, err)
	}
}

func TestWhoseEndpointClosesFirstIsNoStranger(t *testing.T) {
	admin := start(t, "admin", config{})
	admin.say("open")
	admin.awaitStates("open")
	const gone = 1 // a stranger that leaves while we look
	theirs := socketsOn(t, admin.addr)
	looks := 0
	l := life{opts: &Options{NoEndpoint: true}}
	err := l.guard(admin.addr, func() []uint64 {
		switch looks++; looks {
		case 1, 2:
			return append([]uint64{gone}, theirs...)
		case 3:
			admin.say("close")
			admin.awaitStates("closed")
			return append([]uint64{gone}, theirs...)
		}
		return theirs
	})
	if err != nil || looks != 4 {
		t.Errorf("after %d looks: %v", looks, err)
	}
}

// Where the instance itself could not open an endpoint, the others could not either.
func TestWhereNobodyCanHaveAnEndpointNobodyIsAStranger(t *testing.T) {
	l := life{opts: &Options{}}
	if err := l.guard("127.0.0.1:80", func() []uint64 { return []uint64{1} }); err != nil {
		t.Error(err)
	}
}

func TestTwoOfOneReleaseAreSaidAloud(t *testing.T) {
	v1 := start(t, "serve", config{Release: "twice"})
	other := start(t, "serve", config{Release: "once"})
	v2 := start(t, "serve", config{Release: "twice", Addr: v1.addr})
	v2.awaitNotice(fmt.Sprintf("release twice listens on %s already, as process %d", v1.addr, v1.pid))
	for _, p := range []*instance{v1, other, start(t, "serve", config{Release: "thrice", Addr: v1.addr})} {
		p.mu.Lock()
		defer p.mu.Unlock()
		if i := slices.IndexFunc(p.events, func(e event) bool { return e.Notice != "" }); i >= 0 {
			t.Errorf("said aloud: %s", p.events[i].Notice)
		}
	}
}
