package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Many upgrades by the command, under load, each of which has to be lossless, and the sums
// have to agree: what the clients sent is what they got answers to, and what the releases say
// that they have answered.
//
// Broken on purpose, and seen red: the releases leave as --retire plain does; one request of
// the clients is not counted; a release counts one more.

// upgradesEnv is how many there are; bench/reach.sh makes a hundred.
const upgradesEnv = "OVERLAP_UPGRADES"

func upgrades() int {
	n, _ := strconv.Atoi(os.Getenv(upgradesEnv))
	return cmp.Or(n, 5)
}

// clients send requests until they are told to end. None is sent twice.
type clients struct {
	addr                   string
	stop                   chan struct{}
	running                sync.WaitGroup
	sent, answered, failed atomic.Int64
}

// sendTo starts clients of two kinds: of those that keep their connections and of those
// that make new ones.
func sendTo(t testing.TB, addr string) *clients {
	c := &clients{addr: addr, stop: make(chan struct{})}
	for i := range 16 {
		c.running.Go(func() { c.run(t, i%2 == 0) })
	}
	return c
}

func (c *clients) run(t testing.TB, keep bool) {
	transport := &http.Transport{DisableKeepAlives: !keep}
	defer transport.CloseIdleConnections()
	for {
		select {
		case <-c.stop:
			return
		default:
		}
		c.sent.Add(1)
		if err := c.ask(transport); err != nil {
			c.failed.Add(1)
			t.Log(err)
			continue
		}
		c.answered.Add(1)
	}
}

// ask makes one POST request: net/http repeats none of those by itself.
func (c *clients) ask(transport *http.Transport) error {
	r, err := http.NewRequest(http.MethodPost, "http://"+c.addr+"/echo", io.NopCloser(io.LimitReader(zeros{}, 10)))
	if err != nil {
		return err
	}
	r.ContentLength = 10
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || len(body) != 10) {
		err = fmt.Errorf("answered %d with %d bytes", resp.StatusCode, len(body))
	}
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func (c *clients) end() {
	close(c.stop)
	c.running.Wait()
}

// command runs the program as a process, and returns what it wrote.
func command(t testing.TB, args ...string) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asServer+"=1", "XDG_STATE_HOME="+t.TempDir())
	var told lines
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("server %v: %v\n%s%s", args, err, out, told.String())
	}
	return string(out)
}

// fleet is releases of one service that follow each other.
type fleet struct {
	addr     string
	prefix   string
	n        int
	answered int64 // by those that have left, as they say
}

// first starts the first release.
func first(t testing.TB) *fleet {
	t.Helper()
	f := &fleet{addr: freeAddr(t), prefix: fmt.Sprintf("fleet%d-", os.Getpid())}
	p := sib(t, `exec "$SERVER" serve --release `+f.name()+f.flags())
	_, err := p.awaitServing(t.Context(), p.owns, false)
	must(t, err)
	return f
}

func (f *fleet) name() string { return f.prefix + fmt.Sprint(f.n) }

func (f *fleet) flags() string {
	return " --addr " + f.addr + " --linger-timeout 300ms --access-log=false --log-level error"
}

// upgrade starts the next release by the command.
func (f *fleet) upgrade(t testing.TB) handover {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	f.n++
	var h handover
	out := command(t, "upgrade", "--json", "--", "sh", "-c", self+" serve --release "+f.name()+f.flags())
	must(t, json.Unmarshal([]byte(out), &h))
	f.answered += h.Retired[0].Verdict.Requests
	return h
}

// last ends the last release.
func (f *fleet) last(t testing.TB) {
	t.Helper()
	all, err := (selection{releases: []string{f.name()}}).find(t.Context())
	must(t, err)
	f.answered += all[0].Requests
	command(t, "retire", f.name())
}

func TestUpgradesByTheCommandLoseNothingAndTheCountsAgree(t *testing.T) {
	f := first(t)
	load := sendTo(t, f.addr)
	for i := range upgrades() {
		if h := f.upgrade(t); !h.Lossless || len(h.Retired) != 1 || !h.Retired[0].Verdict.Successor {
			t.Fatalf("upgrade %d: %+v", i+1, h)
		}
	}
	load.end()
	f.last(t)
	sent, answered, failed := load.sent.Load(), load.answered.Load(), load.failed.Load()
	t.Logf("%d upgrades: sent %d, answered %d, failed %d; the releases say that they answered %d", upgrades(), sent, answered, failed, f.answered)
	if failed > 0 || sent != answered+failed || answered != f.answered {
		t.Error("the sums do not agree, or something was lost")
	}
}

func BenchmarkUpgradeOfAnIdleService(b *testing.B) {
	f := first(b)
	var took time.Duration
	for b.Loop() {
		began := time.Now()
		f.upgrade(b)
		took = max(took, time.Since(began))
	}
	b.ReportMetric(took.Seconds(), "s/slowest")
	f.last(b)
}
