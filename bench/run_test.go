package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ba995850/overlap/bench/internal/report"
)

// server is what all runs of the tests use, built once.
var server = sync.OnceValues(func() (path string, err error) {
	dir, err := os.MkdirTemp("", "overlap-bench-test-")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "server")
	return path, build(context.Background(), path)
})

// asBench makes a process of this binary the bench.
const asBench = "OVERLAP_BENCH_TEST_BENCH"

func TestMain(m *testing.M) {
	if os.Getenv(asBench) != "" {
		main()
	}
	code := m.Run()
	if path, err := server(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// runBench runs the whole program, as a shell would, and returns its report.
func runBench(t *testing.T, args ...string) (code int, r report.Report) {
	t.Helper()
	path, err := server()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code = run(t.Context(), env{stdout: &out, stderr: t.Output()}, append(args, "--json", "--server", path))
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("read the report: %v\n%s", err, &out)
	}
	return code, r
}

// A zero from a client that cannot see loss is worth nothing: this is the test
// of all the others.
func TestTheClientSeesLossWithPlainRetirement(t *testing.T) {
	code, r := runBench(t, "--retire", "plain", "--upgrades", "3", "--rest", "300ms")
	if r.Failed == 0 || code != exitLost {
		t.Errorf("lost %d of %d with exit code %d: the client sees nothing", r.Failed, r.Sent, code)
	}
	if r.Sent != r.Answered+r.Failed {
		t.Errorf("sent %d, but answered %d and failed %d", r.Sent, r.Answered, r.Failed)
	}
}

func TestUpgradesLoseNothing(t *testing.T) {
	for _, mode := range [][]string{{"--pace", "1000"}, {"--closed", "--overlap-next"}} {
		t.Run(strings.Join(mode, " "), func(t *testing.T) {
			code, r := runBench(t, append(mode, "--upgrades", "2", "--rest", "300ms")...)
			if r.Lost() > 0 || len(r.Disagreements) > 0 || code != exitLossless {
				t.Errorf("lost %d of %d, exit code %d, disagreements %q", r.Lost(), r.Sent, code, r.Disagreements)
			}
			if len(r.Departures) != 3 || len(r.Handovers) != 2 || r.Sent == 0 {
				t.Errorf("saw %d departures and %d handovers of %d requests", len(r.Departures), len(r.Handovers), r.Sent)
			}
		})
	}
}

// cancelAt cancels once a line of what is written to it contains a word.
type cancelAt struct {
	word   string
	cancel context.CancelFunc
	text   bytes.Buffer
}

func (c *cancelAt) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(c.word)) {
		c.cancel()
	}
	return c.text.Write(p)
}

func TestAnInterruptedBenchStopsWhatItStarted(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	ctx, cancel := context.WithCancel(t.Context())
	out := &cancelAt{word: "SIGTERM to v1", cancel: cancel}
	if code := run(ctx, env{out, t.Output()}, []string{"--rest", "100ms"}); code != exitLost {
		t.Errorf("exit code %d, should be %d", code, exitLost)
	}
	pids := regexp.MustCompile(`pid (\d+)`).FindAllStringSubmatch(out.text.String(), -1)
	if len(pids) != 2 {
		t.Fatalf("%d releases were started, should be 2:\n%s", len(pids), &out.text)
	}
	for _, m := range pids {
		pid, _ := strconv.Atoi(m[1])
		if p, err := os.FindProcess(pid); err == nil && p.Signal(syscall.Signal(0)) == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "overlap-bench-*")); len(left) > 0 {
		t.Errorf("%v is still there", left)
	}
}

func TestAReleaseThatDoesNotStartIsQuoted(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho the database is gone >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	code := run(t.Context(), env{io.Discard, &stderr}, []string{"--server", broken})
	if code != exitLost || !strings.Contains(stderr.String(), "the database is gone") {
		t.Errorf("exit code %d, said %q; should be %d and quote the log", code, &stderr, exitLost)
	}
}

func TestAServiceThatRunsIsDriven(t *testing.T) {
	addr := fake(t, says("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"))
	code, r := runBench(t, "--url", "http://"+addr+"/any", "--duration", "300ms", "--pace", "500", "--clients", "2")
	if code != exitLossless || r.Answered == 0 || r.Sent != r.Answered {
		t.Errorf("exit code %d, answered %d of %d; should be 0 and all", code, r.Answered, r.Sent)
	}
}

func TestWrongUsageIsRefused(t *testing.T) {
	for _, args := range []string{
		"--retire now", "--load none", "--clients 0", "--upgrades -1", "--timeout 0s", "--addr", "--nonsense", "surplus",
		"--url https://127.0.0.1", "--linger-timeout 100ms",
		"--wire 80", "--wire 80ms,1%,rate=1Mbit", "--wire 80ms,1% --ipv6", "--wire 80ms,1% --addr 127.0.0.1:0",
		"--wire 80ms,1% --front nginx", "--wire 80ms,1% --url http://127.0.0.1:1", "--wire 80ms,1% --timeout 0s",
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), env{io.Discard, &stderr}, strings.Fields(args)); code != exitUsage {
			t.Errorf("%s: exit code %d, should be %d", args, code, exitUsage)
		}
	}
}

func TestHelpNamesEveryLoad(t *testing.T) {
	var stdout bytes.Buffer
	if code := run(t.Context(), env{&stdout, io.Discard}, []string{"--help"}); code != exitLossless {
		t.Errorf("exit code %d, should be %d", code, exitLossless)
	}
	for _, k := range kinds {
		if !strings.Contains(stdout.String(), k.what) {
			t.Errorf("--help does not explain %s", k.name)
		}
	}
}
