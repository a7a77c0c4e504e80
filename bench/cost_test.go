package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What the figures are is no test's business. Broken on purpose, and seen red: an absent program
// is not said; the base is another; what is less than one is not refused; the connections of two releases are
// opened to one; there are no limits, or they are those of the others, too.
func TestCostIsMeasuredBesideAllThatAreInstalled(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), env{&stdout, &stderr}, strings.Fields("cost --rounds 1 --span 20ms --clients 2 --idle 20"))
	if code != exitLossless {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, name := range []string{"net/http", "net/http, overlap", "gin", "gin, overlap", "the reference service", "nginx", "HAProxy", "the bare kernel"} {
		rows := strings.Count(stdout.String(), "\n"+name+"  ")
		absent := strings.Contains(stdout.String(), "not installed: "+name+": apt-get install ")
		switch _, err := exec.LookPath(strings.ToLower(name)); {
		case absent && err != nil && os.Getenv("OVERLAP_NEED_TOOLS") == "":
			t.Logf("%s is not installed, and that is said", name)
		case rows != 3:
			t.Errorf("%s has %d rows", name, rows)
		}
	}
	if !regexp.MustCompile(`\nnet/http +\d+ +1\.00 \(1\.00 to 1\.00\)`).MatchString(stdout.String()) {
		t.Error("net/http is not what the others are compared with")
	}
	if got := idleOfTwo(t, stdout.String()); got != 20 {
		t.Errorf("two releases hold %d idle connections of 20", got)
	}
	for row, want := range map[string]int{
		`from SIGTERM to steered .* a membarrier`: 1, `from SIGTERM to steered .* a handshake`: 1,
		`(net/http, overlap|gin, overlap|the reference service), (kept connections|a connection for each request) .* the bare kernel`: 6,
	} {
		if got := len(regexp.MustCompile(`(?m)^`+row+` .* \(.*\)$`).FindAllString(stdout.String(), -1)); got != want {
			t.Errorf("%d rows are %s, want %d", got, row, want)
		}
	}
	if t.Failed() {
		t.Log(stdout.String())
	}
}

// idleOfTwo is how many connections two releases that share a port have, each some.
func idleOfTwo(t *testing.T, table string) (sum int) {
	t.Helper()
	rows := regexp.MustCompile(`(?m)^of two: (the one before|the next) +([1-9]\d*) +[\d.]+ MB$`).FindAllStringSubmatch(table, -1)
	if len(rows) != 2 {
		t.Errorf("%d releases have connections, want two", len(rows))
	}
	for _, row := range rows {
		n, _ := strconv.Atoi(row[2])
		sum += n
	}
	return sum
}

func TestCostSaysWhatIsWrongWithItsFlags(t *testing.T) {
	for args, says := range map[string]string{
		"cost --rounds 0":  "cannot be measured",
		"cost --span x":    "invalid value",
		"cost net/http":    `"net/http" is no flag`,
		"cost --idle -1":   "cannot be measured",
		"cost --wheels 12": "not defined: -wheels",
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), env{&stderr, &stderr}, strings.Fields(args)); code != exitUsage || !strings.Contains(stderr.String(), says) {
			t.Errorf("%s: exit code %d, %s", args, code, stderr.String())
		}
	}
}
