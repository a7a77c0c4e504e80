package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ba995850/overlap"
)

func TestUsageErrorsNameTheWordAndTheHelp(t *testing.T) {
	for _, test := range []struct {
		name  string
		args  []string
		wants []string
	}{
		{"no verb", nil, []string{"serve", "version", "server --help"}},
		{"unknown verb", []string{"serv"}, []string{`"serv"`, `did you mean "serve"?`, "server --help"}},
		{"verb from nowhere", []string{"explode"}, []string{`"explode"`, "server --help"}},
		{"unknown flag", []string{"serve", "--drain-timeut", "1s"}, []string{"--drain-timeut", `did you mean "--drain-timeout"?`, "server serve --help"}},
		{"flag from nowhere", []string{"serve", "--explode"}, []string{"--explode", "server serve --help"}},
		{"flag of no verb", []string{"--explode"}, []string{"--explode", "server --help"}},
		{"duration without unit", []string{"serve", "--linger-timeout", "5"}, []string{"--linger-timeout", `"5"`}},
		{"no such choice", []string{"serve", "--retire", "fast"}, []string{"--retire", `"fast"`, "graceful, plain"}},
		{"no such level", []string{"serve", "--log-level", "loud"}, []string{"--log-level", `"loud"`}},
		{"argument", []string{"serve", "now"}, []string{`"now"`, "server serve --help"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(nil, test.args...)
			if got.code != exitUsage {
				t.Errorf("exit code %d, want %d", got.code, exitUsage)
			}
			contains(t, got.stderr, test.wants...)
			if strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("want one line, got:\n%s", got.stderr)
			}
		})
	}
}

func TestExitCodeSaysWhatHappened(t *testing.T) {
	other := errors.New("listen: no")
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, exitDrained},
		{other, exitFailed},
		{toldError{other}, exitFailed},
		{toldError{fmt.Errorf("serve: %w", overlap.ErrCut)}, exitCut},
		{usageError{other}, exitUsage},
		{configError{other}, exitConfig},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("exitCode(%#v) = %d, want %d", test.err, got, test.want)
		}
	}
}

func TestHelpTeaches(t *testing.T) {
	for _, test := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"--help"}, []string{"serve", "version", "server retire", "Exit codes:"}},
		{[]string{"serve", "--help"}, []string{
			"server retire v1", "OVERLAP_DRAIN_TIMEOUT", "drain-timeout: 1m", "PORT=8080",
			"--addr", "--release", "--drain-timeout", "--finish-timeout", "--linger-timeout", "--settle-timeout",
			"--retire graceful|plain", "--access-log", "--log-format auto|text|json", "--log-level", "--allow-mismatch", "--allow-strangers", "--config",
			"Exit codes:", "78", "Signals:", "TERM", "INT", "HUP", "USR1", "USR2", "QUIT",
			"/slow?for=5s", "/echo", "/bytes?n=1000", "chunked=1", "/events", "/ws", "/livez", "/readyz",
			"https://host:port", "http://host:port", "--tls-cert", "--tls-key", "--tls-ticket-keys", "--h2c", "--spread",
			"--admin-addr", "honor_labels", "overlap_sibling_up", "Kubernetes", "Session tickets:", "0600", "1001",
		}},
		{[]string{"ticket-keys", "--help"}, []string{"rotate", "base64"}},
		{[]string{"ticket-keys", "rotate", "--help"}, []string{
			"--keep", "--ahead", "Several hosts:", "leaked", "OnCalendar=daily", "by cron", "--tls-ticket-keys",
		}},
		{[]string{"status", "--help"}, []string{"--json", "STATE", "ROTATION", "no answer", "jq -r"}},
		{[]string{"retire", "--help"}, []string{"--pid", "--all-but", "--undo", "--no-wait", "SIGTERM", "exit code"}},
		{[]string{"probe", "--help"}, []string{"--release", "--pid", "readinessProbe", "exit code"}},
		{[]string{"config", "--help"}, []string{"--json", "--yaml", "fitted", "exit code 78", "OVERLAP_DRAIN_TIMEOUT"}},
		{[]string{"doctor", "--help"}, []string{
			"--json", "--strict", "ExecStartPre=", "systemd-run", "never listens", "steering", "tcp_migrate_req", "strangers", "localport", "78", "--addr",
		}},
		{[]string{"completion", "--help"}, []string{"bash-completion", "zsh", "fish", "powershell"}},
		{[]string{"man", "--help"}, []string{"server man DIR", "man -l"}},
		{[]string{"metrics", "--help"}, []string{"--release", "--pid", "--abstract-unix-socket", "/debug/pprof/profile", "overlap_sibling_up"}},
		{[]string{"version", "--help"}, []string{"-X main.version", "--json"}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			got := call(nil, test.args...)
			if got.code != exitDrained {
				t.Errorf("exit code %d", got.code)
			}
			contains(t, got.stdout, test.wants...)
		})
	}
}

func TestSuggestionIsNearOrNone(t *testing.T) {
	for _, test := range []struct{ word, want string }{
		{"drain-timeut", ` (did you mean "drain-timeout"?)`},
		{"drain_timeout", ` (did you mean "drain-timeout"?)`},
		{"dddr", ` (did you mean "addr"?)`},
		{"colour", ""},
		{"x", ""},
	} {
		if got := didYouMean(test.word, []string{"addr", "drain-timeout"}); got != test.want {
			t.Errorf("didYouMean(%q) = %q, want %q", test.word, got, test.want)
		}
	}
}

func contains(t testing.TB, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, text)
		}
	}
}
