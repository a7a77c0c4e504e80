package wire

import (
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Broken on purpose, and seen red:
//   - Set writes at the clients' end: TestASettingIsTheServersOnly
//   - Counter reads /proc/net of the process, HalfOpen asks at the clients' end:
//     TestAQueueThatIsFullIsSeen, TestAHandshakeUnderWayIsSeen
//   - sockets of whatever state, or at whatever port, count: TestAHandshakeUnderWayIsSeen
//   - a counter is found in any group: TestACounterIsFoundByItsGroupAndName

const somaxconn = "net.core.somaxconn"

func valueOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(text))
}

func TestASettingIsTheServersOnly(t *testing.T) {
	asRoot(t, func(t *testing.T) {
		w := open(t, Spec{})
		before := valueOf(t, somaxconn)
		if err := w.Set(somaxconn, "3"); err != nil {
			t.Fatal(err)
		}
		var there string
		w.servers.do(func() error { there = valueOf(t, somaxconn); return nil })
		if here := valueOf(t, somaxconn); there != "3" || here != before {
			t.Errorf("it is %s among the servers, and here %s, was %s", there, here, before)
		}
		if err := w.Set("net.core.nonsense", "1"); err == nil || !strings.Contains(err.Error(), "set net.core.nonsense=1: ") {
			t.Errorf("what there is not: %v", err)
		}
	})
}

// listen listens at the far end, and does not accept.
func listen(t *testing.T, w *Wire, addr string) {
	t.Helper()
	err := w.servers.do(func() error {
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			t.Cleanup(func() { ln.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAQueueThatIsFullIsSeen(t *testing.T) {
	asRoot(t, func(t *testing.T) {
		w := open(t, Spec{})
		if err := w.Set(somaxconn, "1"); err != nil {
			t.Fatal(err)
		}
		listen(t, w, ServerAddr)
		if n, err := w.Counter("ListenOverflows"); n != 0 || err != nil {
			t.Errorf("at first: %d, %v", n, err)
		}
		for range 4 { // the queue holds two
			if conn, err := w.Dial(ServerAddr, time.Now().Add(200*ms)); err == nil {
				defer conn.Close()
			}
		}
		if n, err := w.Counter("ListenOverflows"); n == 0 || err != nil {
			t.Errorf("then: %d, %v", n, err)
		}
	})
}

// One connection is there, and two handshakes are under way: one of them with the servers.
func TestAHandshakeUnderWayIsSeen(t *testing.T) {
	asRoot(t, func(t *testing.T) {
		w := open(t, Spec{RoundTrip: time.Second})
		echo(t, w)
		listen(t, w, "198.18.0.2:8081")
		there, err := w.Dial(ServerAddr, soon())
		if err != nil {
			t.Fatal(err)
		}
		defer there.Close()
		var dialling sync.WaitGroup
		for _, addr := range []string{ServerAddr, "198.18.0.2:8081"} {
			dialling.Go(func() {
				conn, err := w.Dial(addr, soon())
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
			})
		}
		dialled := make(chan struct{})
		go func() { dialling.Wait(); close(dialled) }()
		most := 0
		for ticking := true; ticking; {
			select {
			case <-dialled:
				ticking = false
			case <-time.After(10 * ms):
				n, err := w.HalfOpen()
				if err != nil {
					t.Fatal(err)
				}
				most = max(most, n)
			}
		}
		if most != 1 {
			t.Errorf("at most %d handshakes were half-open, should be 1", most)
		}
	})
}

func TestACounterIsFoundByItsGroupAndName(t *testing.T) {
	const counters = "MPExt: A ListenOverflows\nMPExt: 1 2\nTcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 3 4 5\n"
	for name, want := range map[string]int{"ListenOverflows": 4, "ListenDrops": 5, "Nonsense": 0} {
		if n := counter([]byte(counters), "TcpExt:", name); n != want {
			t.Errorf("%s is %d, should be %d", name, n, want)
		}
	}
}
