package main

import (
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// quick makes an upgrade short. It takes ConnectionTimeout, for the streams.
func quick(more ...string) []string {
	return append([]string{"-connection-timeout", "1s", "-finish-timeout", "3s", "-drain-timeout", "20s"}, more...)
}

func TestNoCallIsLostInUpgrades(t *testing.T) {
	cert, key, trust := certificate(t)
	for _, test := range []struct {
		name     string
		upgrades int
		creds    credentials.TransportCredentials
		flags    []string
	}{
		{"in clear", 5, insecure.NewCredentials(), quick()},
		{"over TLS", 2, trust, quick("-cert", cert, "-key", key)},
	} {
		t.Run(test.name, func(t *testing.T) {
			current, seen := start(t, "v1", "127.0.0.1:0", test.flags...), 0
			load := send(t, current.addr, test.creds)
			want := []string{"v1"}
			for i := range test.upgrades {
				next := start(t, fmt.Sprintf("v%d", i+2), current.addr, test.flags...)
				load.awaitAnswer(t, fmt.Sprintf("v%d", i+2))
				seen += current.leaves()
				load.awaitStreams(t, i+2)
				current, want = next, append(want, fmt.Sprintf("v%d", i+2))
			}
			load.stop()
			seen += current.leaves() // it ends the streams
			load.sum(t, seen)
			for name, releases := range load.opened {
				if releases[0] != "" && !slices.Equal(releases, want) {
					t.Errorf("%s was opened at %v, want %v", name, releases, want)
				}
				if len(releases) != len(want) {
					t.Errorf("%s was opened %d times in the life of %d releases", name, len(releases), len(want))
				}
			}
		})
	}
}

// A process that gets no CPU for a moment has a queue when the signal comes. The load
// sees what becomes of it: were it blind, nothing above would prove anything.
func TestGracefulStopLosesWhatIsQueuedUnlessTheListenerRetiresFirst(t *testing.T) {
	if lost := lostByAStop(t, true); lost > 0 {
		t.Errorf("lost %d calls", lost)
	}
	for range 10 { // it may accept all that is queued before it sees the signal
		if lostByAStop(t, false) > 0 {
			return
		}
	}
	t.Error("10 servers that did not retire lost nothing that the load has seen")
}

// lostByAStop lets a server leave right behind a pause, and returns what the load lost.
func lostByAStop(t *testing.T, retire bool) int {
	t.Helper()
	// A handshake that the pause interrupts must not run into ConnectionTimeout.
	patient := []string{"-connection-timeout", "3s", "-finish-timeout", "4s", "-drain-timeout", "20s"}
	v1 := start(t, "v1", "127.0.0.1:0", append(patient, fmt.Sprint("-retire=", retire))...)
	load := send(t, v1.addr, insecure.NewCredentials())
	v2 := start(t, "v2", v1.addr, quick()...)
	load.awaitAnswer(t, "v2")
	v1.signal(syscall.SIGSTOP)
	awaitQueue(t, v1.addr, 1)
	v1.retire()
	v1.signal(syscall.SIGCONT)
	report, code := v1.left()
	if code != exitDrained {
		t.Errorf("exit code %d", code)
	}
	load.stop()
	seen := report.Calls + v2.leaves()
	load.lives.Wait()
	if retire {
		load.sum(t, seen)
	}
	t.Logf("retire=%v: sent %d, lost %d: %v", retire, load.sent, len(load.errs), load.errs[:min(len(load.errs), 2)])
	return len(load.errs)
}
func TestAClientThatSaysNothingDelaysNobodyBeyondConnectionTimeout(t *testing.T) {
	v1 := start(t, "v1", "127.0.0.1:0", quick()...)
	load := send(t, v1.addr, insecure.NewCredentials())
	start(t, "v2", v1.addr, quick()...)
	load.awaitAnswer(t, "v2")
	// Enough for v1 to get some of them: then they keep GOAWAY back for a second.
	for range 32 {
		silent, err := net.Dial("tcp", v1.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
	}
	began := time.Now()
	v1.leaves()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it left after %v", took)
	}
	load.awaitStreams(t, 2)
	load.mu.Lock()
	defer load.mu.Unlock()
	for name, releases := range load.opened {
		if len(releases) != 2 {
			t.Errorf("%s came back to the instance that had ended it: %v", name, releases)
		}
	}
	if len(load.errs) > 0 {
		t.Errorf("lost: %v", load.errs)
	}
}

func TestAStreamThatNeverEndsIsCutAtTheDeadlineAndCounted(t *testing.T) {
	const drain = 2 * time.Second
	v1 := start(t, "v1", "127.0.0.1:0", "-connection-timeout", "500ms", "-finish-timeout", "1s", "-drain-timeout", drain.String())
	conn := (&load{addr: v1.addr, creds: insecure.NewCredentials()}).dial()
	defer conn.Close()
	stream, err := open(conn, methodChat, "0")
	if err != nil {
		t.Fatal(err)
	}
	if release, _, err := hear(stream); release != "v1" || err != nil {
		t.Fatalf("heard %q, %v", release, err)
	}
	start(t, "v2", v1.addr)
	began := time.Now()
	v1.retire()
	report, code := v1.left()
	if took := time.Since(began); took < drain || took > drain+time.Second {
		t.Errorf("it left after %v, its deadline was %v", took, drain)
	}
	if code != exitCut || report.Cut != 1 {
		t.Errorf("exit code %d, %+v", code, report)
	}
	if release, _, err := hear(stream); release != goodbye || err != nil {
		t.Errorf("heard %q, %v instead of goodbye", release, err)
	}
	if _, _, err := hear(stream); status.Code(err) != codes.Unavailable {
		t.Errorf("the end of a stream that was cut: %v", err)
	}
}
