package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// Broken on purpose, and seen red:
//   - a stream opens after a GOAWAY; the servers' first GOAWAY is left out:
//     TestScenariosLoseNothingAndSeeLoss

// needs skips a test whose program is not installed. In CI, which says so by
// OVERLAP_NEED_TOOLS, it has to be.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("OVERLAP_NEED_TOOLS") != "" {
		t.Fatalf("%s is missing: apt-get install %s", program, pkg)
	}
	t.Skipf("%s is missing: apt-get install %s", program, pkg)
}

// Each scenario once, in short. Where plain retirement is known to lose, the same client
// sees that it does.
func TestScenariosLoseNothingAndSeeLoss(t *testing.T) {
	for _, test := range []struct {
		name  string
		more  string // to keep it short
		loses bool
		tools []string
	}{
		{name: "tls-new", loses: true},
		{name: "tls-keepalive", loses: true},
		{name: "tls-resume"},
		{name: "h2", loses: true},
		{name: "h2c", loses: true},
		{name: "h2-idle"},
		{name: "trickle", more: "--clients 8"},
		{name: "download", more: "--clients 1"},
		{name: "ws", more: "--clients 50"},
		{name: "sse", more: "--clients 50"},
		{name: "http10", loses: true},
		{name: "expect", loses: true},
		{name: "pipelined", loses: true},
		{name: "nginx", loses: true, tools: []string{"nginx", "nginx-light"}},
		{name: "haproxy", loses: true, tools: []string{"haproxy", "haproxy"}},
	} {
		args := append([]string{"--scenario", test.name, "--rest", "300ms"}, strings.Fields(test.more)...)
		t.Run(test.name, func(t *testing.T) {
			if test.tools != nil {
				needs(t, test.tools[0], test.tools[1])
			}
			code, r := runBench(t, append(args, "--upgrades", "1")...)
			if r.Lost() > 0 || len(r.Disagreements) > 0 || code != exitLossless || r.Answered == 0 {
				t.Errorf("lost %d of %d, exit code %d, disagreements %q", r.Lost(), r.Sent, code, r.Disagreements)
			}
		})
		if !test.loses {
			continue
		}
		t.Run(test.name+" plain", func(t *testing.T) {
			if test.tools != nil {
				needs(t, test.tools[0], test.tools[1])
			}
			lost := 0
			for i := 0; lost == 0 && i < 5; i++ {
				_, r := runBench(t, append(args, "--upgrades", "2", "--retire", "plain")...)
				lost = r.Lost()
			}
			if lost == 0 {
				t.Error("10 plain upgrades lost nothing: the client sees nothing")
			}
		})
	}
}

func TestSessionsAreResumedAcrossReleasesThatShareKeysOnly(t *testing.T) {
	for _, test := range []struct {
		scenario string
		want     func(resumed, all int) bool
	}{
		{"tls-resume", func(resumed, all int) bool { return resumed == all }},
		{"tls-resume-apart", func(resumed, all int) bool { return resumed == 0 }},
	} {
		_, r := runBench(t, "--scenario", test.scenario, "--upgrades", "2", "--rest", "300ms")
		all, resumed := r.Counts[evidence.HandshakesAcross], r.Counts[evidence.ResumedAcross]
		if all == 0 || !test.want(resumed, all) {
			t.Errorf("%s: %d of %d sessions were resumed with another release", test.scenario, resumed, all)
		}
	}
}

func TestEveryScenarioIsListedAndCanBeRun(t *testing.T) {
	var list bytes.Buffer
	if code := run(t.Context(), env{&list, io.Discard}, []string{"--list"}); code != exitLossless {
		t.Errorf("exit code %d", code)
	}
	for _, s := range scenarios {
		if _, err := parse([]string{"--scenario", s.name}); err != nil {
			t.Error(err)
		}
		for _, text := range []string{s.name, s.what, s.plain, s.flags} {
			if text == "" || !strings.Contains(list.String(), text) {
				t.Errorf("%s: %q is not listed", s.name, text)
			}
		}
	}
}

func TestTheCommandLineGoesBeforeTheScenario(t *testing.T) {
	all, err := parse(strings.Fields("--scenario h2,tls-new --clients 7"))
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for i, name := range []string{"h2", "tls-new"} {
		if c := all[i]; c.scenario != name || c.clients != 7 || !c.tls {
			t.Errorf("%s is %v", name, fmt.Sprint(c))
		}
	}
}
