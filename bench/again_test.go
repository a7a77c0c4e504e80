package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ba995850/overlap/bench/internal/report"
)

// Broken on purpose, and seen red: a request is not written: no file is read again, and
// every test here says so.

// reported runs "bench report", which has to work.
func reported(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), env{&out, t.Output()}, append([]string{"report"}, args...)); code != exitLossless {
		t.Fatalf("exit code %d", code)
	}
	return out.String()
}

func TestReportsFromTheFileAreThoseOfTheRun(t *testing.T) {
	raw := filepath.Join(t.TempDir(), "raw.gz")
	path, err := server()
	if err != nil {
		t.Fatal(err)
	}
	var text, out bytes.Buffer
	run(t.Context(), env{stdout: &out, stderr: &text}, strings.Fields(
		"--json --scenario ws,pipelined --clients 8 --upgrades 1 --rest 300ms --raw "+raw+" --server "+path))
	if again := reported(t, raw, "--json"); again == "" || again != out.String() {
		t.Errorf("the report of the run was\n%s, from the file it is\n%s", &out, again)
	}
	for part := range strings.SplitSeq(reported(t, raw), "\n\n") {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the run did not say\n%s\nbut\n%s", part, &text)
		}
	}
}

func TestWhatIsReadAgainAddsUp(t *testing.T) {
	raw := filepath.Join(t.TempDir(), "raw.gz")
	_, r := runBench(t, "--retire", "plain", "--upgrades", "3", "--rest", "300ms", "--raw", raw)
	text := reported(t, raw)
	if r.Failed == 0 || r.Sent != r.Answered+r.Failed {
		t.Fatalf("sent %d, answered %d, failed %d", r.Sent, r.Answered, r.Failed)
	}
	again := readAgain(t, raw)
	if again.Sent != r.Sent || again.Answered+again.Failed != r.Sent || again.Failed != r.Failed {
		t.Errorf("read again: sent %d, answered %d, failed %d; the run: %d, %d, %d", again.Sent, again.Answered, again.Failed, r.Sent, r.Answered, r.Failed)
	}
	if !strings.Contains(text, "FAIL: ") {
		t.Errorf("it does not say that it failed:\n%s", text)
	}
}

func TestARawFileThatIsThereIsNotOverwritten(t *testing.T) {
	var stderr bytes.Buffer
	code := run(t.Context(), env{io.Discard, &stderr}, []string{"--raw", "again_test.go"})
	if code != exitLost || !strings.Contains(stderr.String(), "again_test.go is there already") {
		t.Errorf("exit code %d, said %q", code, &stderr)
	}
}

func TestReportRefusesWhatItCannotRead(t *testing.T) {
	for args, want := range map[string]string{
		"report":                              "name a file",
		"report again_test.go --nonsense":     "-nonsense",
		"report none.gz --json --benchfmt":    "only one can have stdout",
		"report none.gz":                      "no such file",
		"report again_test.go":                "again_test.go: line 1: invalid character",
		"report --json again_test.go none.gz": "again_test.go: line 1: invalid character",
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), env{io.Discard, &stderr}, strings.Fields(args)); code == exitLossless || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit code %d, said %q, should say %q", args, code, &stderr, want)
		}
	}
}

func TestReportTeaches(t *testing.T) {
	help := reported(t, "--help")
	for _, word := range []string{"--html", "--svg", "--benchfmt", "--json", "--raw", "Exit code"} {
		if !strings.Contains(help, word) {
			t.Errorf("--help does not say %s", word)
		}
	}
}

// readAgain returns the report of a file with one run.
func readAgain(t *testing.T, raw string) (r report.Report) {
	t.Helper()
	if err := json.Unmarshal([]byte(reported(t, raw, "--json")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The files of testdata are made by hand, and these of them by "go run . report
// testdata/small.jsonl", with what stands here behind it.
func TestReportsOfAHandMadeFileAreAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	for golden, made := range map[string]string{
		"small.txt":   reported(t, "testdata/small.jsonl", "--svg", dir),
		"small.bench": reported(t, "testdata/small.jsonl", "--benchfmt"),
		"small.json":  reported(t, "testdata/small.jsonl", "--json"),
		"small.md":    reported(t, "testdata/small.jsonl", "--markdown"),
		// --svg testdata; the other pictures are drawn by the same hand.
		"upgrade-light.svg":         contents(t, filepath.Join(dir, "upgrade-light.svg")),
		"upgrade-net-http-dark.svg": contents(t, filepath.Join(dir, "upgrade-net-http-dark.svg")),
	} {
		if want := contents(t, filepath.Join("testdata", golden)); made != want {
			t.Errorf("%s should be\n%s\nit is\n%s", golden, want, made)
		}
	}
}

func contents(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// redMark is how a lost request is drawn.
const redMark = "l5 -5m0 5l-5 -5"

func TestTheLossyRunShowsItsRedMarks(t *testing.T) {
	dir := t.TempDir()
	raw := filepath.Join(dir, "raw.gz")
	_, r := runBench(t, "--retire", "plain", "--upgrades", "3", "--rest", "300ms", "--raw", raw)
	reported(t, raw, "--svg", dir)
	marks := strings.Count(contents(t, filepath.Join(dir, "run-net-http-light.svg")), redMark)
	if r.Lost() == 0 || marks != r.Lost() {
		t.Errorf("%d marks for %d lost requests", marks, r.Lost())
	}
}
