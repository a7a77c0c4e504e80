package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/report"
)

// Broken on purpose, and seen red:
//   - a loss is not seen; of a loss the packets are dropped, or tcpdump is killed; the logs, the raw
//     results or a flag of the command are left out; the work of the load is not kept:
//     TestASoakThatLosesLeavesTheEvidence
//   - the directory stays; the packets of a lossless episode stay; tcpdump changes its user:
//     TestASoakLosesNothingAndLeavesNothing
//   - an interruption is an error, or what it broke off is an episode: TestAnInterruptedSoakSaysWhatWasDone
//   - releases are not stopped before their logs are kept: TestASoakWhoseReleaseDoesNotStartLeavesTheEvidence

// soaked runs "bench soak" with a place for evidence of its own, and returns what it said
// and what it left there.
func soaked(t *testing.T, ctx context.Context, out io.Writer, args ...string) (code int, left []string) {
	t.Helper()
	path, err := server()
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	code = run(ctx, env{out, out}, append([]string{"soak", "--into", into, "--server", path}, args...))
	if in, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(in) > 0 {
		t.Errorf("%v is still there", in)
	}
	left, err = filepath.Glob(filepath.Join(into, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return code, left
}

// needsPackets skips a test where packets cannot be recorded.
func needsPackets(t *testing.T) {
	t.Helper()
	needs(t, "tcpdump", "tcpdump")
	if os.Geteuid() != 0 {
		t.Skip("to record packets takes root")
	}
}

// likely returns an episode in which plain retirement is sure to lose: quick requests, as
// fast as a crowd of clients can send them, and several upgrades.
func likely(t *testing.T, seed uint64) int {
	t.Helper()
	for n := 1; n < 10_000; n++ {
		c, err := draw(seed, n).config()
		if err != nil {
			t.Fatal(err)
		}
		slow := slices.ContainsFunc(c.loads, func(k kind) bool { return k.name != "new" && k.name != "http10" && k.name != "keepalive" })
		if !slow && !c.tls && c.pace == 0 && c.clients >= 16 && c.upgrades >= 3 && c.rest < 600*time.Millisecond {
			return n
		}
	}
	t.Fatal("no episode is likely to lose")
	return 0
}

// A soak that cannot see a loss proves nothing, and one that leaves nothing to look at is
// in vain.
func TestASoakThatLosesLeavesTheEvidence(t *testing.T) {
	needsPackets(t)
	n := likely(t, 7)
	var out bytes.Buffer
	code, left := soaked(t, t.Context(), &out, "--retire", "plain", "--seed", "7", "--episode", strconv.Itoa(n))
	if code != exitLost || len(left) != 1 || !strings.Contains(out.String(), "FAIL: see "+left[0]+"\n") {
		t.Fatalf("exit code %d, left %v, said\n%s", code, left, &out)
	}
	if !strings.Contains(out.String(), fmt.Sprintf("to repeat it: go run ./bench soak --seed 7 --episode %d ", n)) {
		t.Errorf("it does not say how to repeat it:\n%s", &out)
	}
	if n := countPackets(t, filepath.Join(left[0], "packets")); n < 1000 {
		t.Errorf("%d packets were recorded", n)
	}
	file, err := evidence.ReadFile(filepath.Join(left[0], "raw.gz"))
	if err != nil {
		t.Fatal(err)
	}
	r := report.Of(file.Runs[0])
	if len(file.Runs) != 1 || r.Lost() == 0 || r.Sent != r.Answered+r.Declined+r.Withdrawn+r.Failed {
		t.Errorf("%d runs; sent %d, answered %d, lost %d", len(file.Runs), r.Sent, r.Answered, r.Lost())
	}
	if text := reported(t, filepath.Join(left[0], "raw.gz")); !strings.Contains(text, "FAIL: ") {
		t.Errorf("the report says\n%s", text)
	}
	for _, d := range file.Runs[0].Departures {
		if log := contents(t, filepath.Join(left[0], "logs", d.Release+".log")); !strings.Contains(log, `"to":"drained"`) {
			t.Errorf("the log of %s ends early:\n%s", d.Release, log)
		}
	}
	path, _ := server()
	again := fmt.Sprintf("soak --seed 7 --episode %d --retire plain --server %s", n, path)
	if story := contents(t, filepath.Join(left[0], "story.txt")); !strings.Contains(story, "  go run ./bench "+again+"\n") {
		t.Errorf("the story does not say how to repeat it:\n%s", story)
	}
	if got := strings.Join(file.Command, " "); got != "go run ./bench "+again {
		t.Errorf("the raw file was made by %s", got)
	}
}

// countPackets reads all files of the ring.
func countPackets(t *testing.T, dir string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no packets, %v", dir, err)
	}
	for _, name := range files {
		out, err := exec.Command("tcpdump", "-n", "-r", name).Output()
		if err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		n += bytes.Count(out, []byte("\n"))
	}
	return n
}

func TestASoakLosesNothingAndLeavesNothing(t *testing.T) {
	needsPackets(t)
	var out bytes.Buffer
	code, left := soaked(t, t.Context(), &out, "--for", "8s")
	if code != exitLossless || len(left) > 0 {
		t.Errorf("exit code %d, left %v", code, left)
	}
	text := out.String()
	episodes := len(regexp.MustCompile(`(?m)^#\d+ .* [1-9]\d* sent, 0 lost$`).FindAllString(text, -1))
	if episodes == 0 || !strings.Contains(text, "\n"+report.Plural(episodes, "episode")+", ") || !strings.Contains(text, "\nlost: 0\nPASS: ") {
		t.Errorf("%d episodes have a line", episodes)
	}
	if t.Failed() {
		t.Log(text)
	}
}

// What goes wrong need not be a lost request.
func TestASoakWhoseReleaseDoesNotStartLeavesTheEvidence(t *testing.T) {
	path, err := server()
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "server")
	script := "#!/bin/sh\ncase \"$*\" in *'release v1 '*) exec " + path + " \"$@\";; esac\necho the database is gone >&2\nexit 1\n"
	if err := os.WriteFile(broken, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	n := calm(t, 7)
	var out bytes.Buffer
	code, left := soaked(t, t.Context(), &out, "--server", broken, "--packets=false", "--seed", "7", "--episode", strconv.Itoa(n))
	if code != exitLost || len(left) != 1 || !strings.Contains(out.String(), "FAIL: see "+left[0]+"\n") {
		t.Fatalf("exit code %d, left %v, said\n%s", code, left, &out)
	}
	if log := contents(t, filepath.Join(left[0], "logs", "v2.log")); log != "the database is gone\n" {
		t.Errorf("the log of v2 is %q", log)
	}
	if log := contents(t, filepath.Join(left[0], "logs", "v1.log")); !strings.Contains(log, `"to":"drained"`) {
		t.Errorf("the log of v1 ends early: %s", log)
	}
	file, err := evidence.ReadFile(filepath.Join(left[0], "raw.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if r := report.Of(file.Runs[0]); r.Answered == 0 || r.Lost() > 0 {
		t.Errorf("%d were answered and %d lost until then", r.Answered, r.Lost())
	}
	if story := contents(t, filepath.Join(left[0], "story.txt")); !strings.Contains(story, "the database is gone") {
		t.Errorf("the story does not say why:\n%s", story)
	}
}

// calm returns an episode in which nothing happens besides upgrades.
func calm(t *testing.T, seed uint64) int {
	t.Helper()
	for n := 1; n < 1000; n++ {
		if draw(seed, n).plan.String() == "calm" {
			return n
		}
	}
	t.Fatal("there is always something")
	return 0
}

func TestAnInterruptedSoakSaysWhatWasDone(t *testing.T) {
	for word, want := range map[string]struct {
		code int
		says string
	}{
		"#2 at": {exitLossless, "\n1 episode, "},
		"#1 at": {exitLost, "\n0 episodes, "}, // which proves nothing
	} {
		ctx, cancel := context.WithCancel(t.Context())
		out := &cancelAt{word: word, cancel: cancel}
		code, left := soaked(t, ctx, out, "--for", "1h", "--seed", "5", "--packets=false")
		if code != want.code || len(left) > 0 {
			t.Errorf("interrupted at %s: exit code %d, left %v", word, code, left)
		}
		text := out.text.String()
		for _, says := range []string{"\ninterrupted; ", want.says, "\nlost: 0\n"} {
			if !strings.Contains(text, says) {
				t.Errorf("interrupted at %s it does not say %q:\n%s", word, says, text)
			}
		}
		if pass := strings.Contains(text, "PASS"); pass != (want.code == exitLossless) {
			t.Errorf("interrupted at %s it says\n%s", word, text)
		}
	}
}

func TestWithoutTcpdumpASoakSaysWhatToDo(t *testing.T) {
	path, err := server()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	var stderr bytes.Buffer
	code := run(t.Context(), env{io.Discard, &stderr}, []string{"soak", "--server", path, "--into", t.TempDir()})
	if code != exitLost || !strings.Contains(stderr.String(), "apt-get install tcpdump, or go on without: --packets=false") {
		t.Errorf("exit code %d, said %s", code, &stderr)
	}
}
