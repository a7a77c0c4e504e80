package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What the figures are is no test's business. Broken on purpose, and seen red: an absent program
// is not said; the base is another; what is less than one is not refused.
func TestCostIsMeasuredBesideAllThatAreInstalled(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), env{&stdout, &stderr}, strings.Fields("cost --rounds 1 --span 20ms --clients 2 --idle 20"))
	if code != exitLossless {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, name := range []string{"net/http", "net/http, overlap", "gin", "gin, overlap", "the reference service", "nginx", "HAProxy"} {
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
	if t.Failed() {
		t.Log(stdout.String())
	}
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
