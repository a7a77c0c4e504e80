package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ba995850/overlap"
	"github.com/ba995850/overlap/internal/control"
)

// Broken on purpose, and seen red:
//   - only ourselves are asked: TestAScrapeShowsAllWhoeverAnswers
//   - a silent sibling is waited for without end: TestASiblingThatIsStoppedHoldsUpNoScrape
//   - pprof is on TCP, too: TestTheAdminAddressHasMetricsAndNothingElse
//   - no address is no failure: TestAnAdminAddressThatIsTakenIsAFailureToStart
//   - nobody bequeaths; nobody is asked for legacies: TestWhatAnInstanceHasCountedOutlivesIt
//   - the admin address is cut, not retired: TestNoScrapeIsLostInAnUpgrade
//   - a program without metrics is left out: TestAProgramWithoutMetricsShowsWhatItIs
//   - the verb takes nobody for silent: TestASiblingThatIsStoppedHoldsUpNoScrape
//   - the verb means everybody: TestTheAdminAddressHasMetricsAndNothingElse

// watched starts a release with an admin address.
func watched(t *testing.T, addr, admin, release string) (p *process, at string) {
	t.Helper()
	p = startFor(t, 40*time.Second, "--addr", addr, "--admin-addr", admin, "--release", release, "--access-log=false", "--linger-timeout", "100ms")
	return p, p.await(t, "state", "serving")["addr"].(string)
}

// scraped returns the series that an admin address has.
func scraped(t testing.TB, admin string) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/metrics")
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("a scrape got %s", resp.Status)
	}
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	return values(t, string(text))
}

// of picks the series with a name whose labels contain all of words.
func of(series map[string]float64, name string, words ...string) (found []float64) {
	for text, value := range series {
		is := strings.HasPrefix(text, name+" ")
		for _, w := range words {
			is = is && strings.Contains(text+" ", " "+w+" ")
		}
		if is {
			found = append(found, value)
		}
	}
	return found
}

func want(t testing.TB, series map[string]float64, value float64, name string, words ...string) {
	t.Helper()
	if got := of(series, name, words...); len(got) != 1 || got[0] != value {
		t.Errorf("%s of %q is %v, want %v once", name, words, got, value)
	}
}

func TestAScrapeShowsAllWhoeverAnswers(t *testing.T) {
	t.Parallel()
	admin := freeAddr(t)
	_, addr := watched(t, "127.0.0.1:0", admin, "all-v1")
	watched(t, addr, admin, "all-v2")
	for range 20 { // each a new connection: half of them go to either
		series := scraped(t, admin)
		for _, release := range []string{"all-v1", "all-v2"} {
			want(t, series, 1, "overlap_sibling_up", release)
			want(t, series, 1, "overlap_state", release, "serving")
			want(t, series, 1, "overlap_tier_lossless", release)
			want(t, series, 0, "overlap_http_requests_total", release, "2xx")
		}
	}
}

func TestASiblingThatIsStoppedHoldsUpNoScrape(t *testing.T) {
	t.Parallel()
	admin := freeAddr(t)
	_, addr := watched(t, "127.0.0.1:0", admin, "stop-v1")
	v2 := start(t, "--addr", addr, "--release", "stop-v2") // at its admin address nobody would answer
	v2.await(t, "state", "serving")
	want(t, scraped(t, admin), 1, "overlap_sibling_up", "stop-v2")
	v2.signal(t, syscall.SIGSTOP)
	defer v2.signal(t, syscall.SIGCONT)
	const patience = time.Second / 2 // as Siblings of the metrics says
	for range 2 {
		began := time.Now()
		series := scraped(t, admin)
		if took := time.Since(began); took > 4*patience {
			t.Errorf("a scrape took %v", took)
		}
		want(t, series, 0, "overlap_sibling_up", "stop-v2")
		want(t, series, 1, "overlap_sibling_up", "stop-v1")
		if n := len(of(series, "overlap_http_requests_total", "stop-v2")); n > 0 {
			t.Errorf("%d series of one that does not answer", n)
		}
	}
	got := call(nil, "metrics", "--pid", fmt.Sprint(v2.Process.Pid))
	if got.code != exitFailed || !strings.Contains(got.stdout, "overlap_sibling_up") {
		t.Errorf("exit code %d: %s", got.code, got.stdout)
	}
	contains(t, got.stderr, "does not answer")
}

func TestTheAdminAddressHasMetricsAndNothingElse(t *testing.T) {
	t.Parallel()
	admin := freeAddr(t)
	p, _ := watched(t, "127.0.0.1:0", admin, "only-v1")
	for path, code := range map[string]int{
		"/metrics": 200, "/livez": 200, "/": 404, "/debug/pprof/": 404, "/debug/pprof/profile": 404, "/legacies": 404, "/v1/status": 404,
	} {
		resp, err := http.Get("http://" + admin + path)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != code {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, code)
		}
		if !resp.Close {
			t.Errorf("%s: the connection is kept", path)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/cmdline", nil)
	must(t, err)
	resp, err := control.Private(mine(t, p)["instance"].(string), r)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	contains(t, string(text), "only-v1")
	got := call(nil, "metrics", "--release", "only-v1")
	if got.code != 0 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	contains(t, got.stdout, `overlap_http_requests_total{code="2xx",release="only-v1",instance="`, "go_goroutines", "process_open_fds")
	if got := call(nil, "metrics", "--release", "nobody"); got.code != exitFailed {
		t.Errorf("exit code %d of nobody", got.code)
	}
}

func TestAnAdminAddressThatIsTakenIsAFailureToStart(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	taken := ln.Addr().String()
	p := start(t, "--addr", "127.0.0.1:0", "--admin-addr", taken, "--release", "taken-v1")
	contains(t, p.await(t, "serve", "")["error"].(string), "admin-addr "+taken, "in use")
	if code := p.exit(t); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}

// v1 answers, retires and has gone before anybody has scraped it. v2 starts before that,
// and v3 after it, and learns of it from v2.
func TestWhatAnInstanceHasCountedOutlivesIt(t *testing.T) {
	t.Parallel()
	admin := freeAddr(t)
	v1, addr := watched(t, "127.0.0.1:0", admin, "heir-v1")
	for range 3 {
		get(t, "http://"+addr+"/")
	}
	get(t, "http://"+addr+"/nowhere")
	v2, _ := watched(t, addr, admin, "heir-v2")
	replaced := func(p *process) {
		t.Helper()
		p.signal(t, syscall.SIGTERM)
		if verdict := p.await(t, "verdict", ""); verdict["lossless"] != true {
			t.Errorf("verdict %v", verdict)
		}
		if code := p.exit(t); code != exitDrained {
			t.Errorf("exit code %d", code)
		}
	}
	left := func() {
		t.Helper()
		series := scraped(t, admin)
		want(t, series, 3, "overlap_http_requests_total", "heir-v1", "2xx")
		want(t, series, 1, "overlap_http_requests_total", "heir-v1", "4xx")
		want(t, series, 4, "overlap_answered_requests_total", "heir-v1")
		want(t, series, 4, "overlap_http_request_duration_seconds", "heir-v1")
		want(t, series, 1, "overlap_retirements_total", "heir-v1", "true")
		want(t, series, 0, "overlap_late_requests_total", "heir-v1")
		if n := len(of(series, "overlap_state", "heir-v1")) + len(of(series, "overlap_sibling_up", "heir-v1")); n > 0 {
			t.Errorf("%d series of what it was", n)
		}
	}
	replaced(v1)
	left()
	watched(t, addr, admin, "heir-v3")
	for range 8 {
		left()
	}
	replaced(v2)
	left()
	want(t, scraped(t, admin), 1, "overlap_retirements_total", "heir-v2", "true")
}

// Scrapers that never rest, each with a connection for each scrape, while two releases are
// replaced.
func TestNoScrapeIsLostInAnUpgrade(t *testing.T) {
	t.Parallel()
	admin := freeAddr(t)
	now, addr := watched(t, "127.0.0.1:0", admin, "scrape-v0")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var scraping sync.WaitGroup
	var scrapes atomic.Int64
	for range 4 {
		scraping.Go(func() {
			for ctx.Err() == nil {
				resp, err := http.Get("http://" + admin + "/metrics")
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `release="scrape-v`) {
					t.Errorf("%s, %d bytes, %v", resp.Status, len(text), err)
				}
				scrapes.Add(1)
			}
		})
	}
	for i := range 2 {
		next, _ := watched(t, addr, admin, fmt.Sprintf("scrape-v%d", i+1))
		now.signal(t, syscall.SIGTERM)
		if code := now.exit(t); code != exitDrained {
			t.Errorf("exit code %d", code)
		}
		now = next
	}
	stop()
	scraping.Wait()
	t.Logf("%d scrapes", scrapes.Load())
}

// A program that has overlap in it, and nothing else.
func TestAProgramWithoutMetricsShowsWhatItIs(t *testing.T) {
	t.Parallel()
	admin := freeAddr(t)
	_, addr := watched(t, "127.0.0.1:0", admin, "other-v1")
	serving := make(chan struct{})
	inst := overlap.New(overlap.Options{Release: "other-v2", OnState: func(_, to overlap.State) {
		if to == overlap.StateServing {
			close(serving)
		}
	}})
	done := make(chan error, 1)
	go func() { done <- inst.Serve(&http.Server{Addr: addr, Handler: http.NotFoundHandler()}) }()
	<-serving
	series := scraped(t, admin)
	want(t, series, 1, "overlap_sibling_up", "other-v2")
	want(t, series, 1, "overlap_state", "other-v2", "serving")
	want(t, series, 0, "overlap_answered_requests_total", "other-v2")
	if n := len(of(series, "overlap_http_requests_total", "other-v2")); n > 0 {
		t.Errorf("it has %d series that it does not count", n)
	}
	inst.Retire()
	must(t, <-done)
}
