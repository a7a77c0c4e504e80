package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

// lines is a log that a test can read.
type lines struct{ bytes.Buffer }

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *lines) all(t testing.TB) (all []map[string]any) {
	t.Helper()
	for text := range strings.Lines(l.String()) {
		all = append(all, parseLine(t, text))
	}
	return all
}

func (l *lines) only(t testing.TB) map[string]any {
	t.Helper()
	all := l.all(t)
	if len(all) != 1 {
		t.Fatalf("want one line, got %v", all)
	}
	return all[0]
}

func parseLine(t testing.TB, text string) (line map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return line
}

func TestLogIsJSONUnlessItIsReadByAPerson(t *testing.T) {
	for _, test := range []struct {
		format string
		json   bool
	}{
		{formatAuto, true}, // a buffer is no terminal
		{formatJSON, true},
		{formatText, false},
	} {
		var out bytes.Buffer
		newLogger(env{stderr: &out, getenv: vars{}.get}, config{Release: "v1", LogFormat: test.format}).Info("hello")
		if got := strings.HasPrefix(out.String(), "{"); got != test.json {
			t.Errorf("%s: %s", test.format, out.String())
		}
		contains(t, out.String(), "v1", "pid")
	}
}

func TestLogLeavesTheTimeToTheJournal(t *testing.T) {
	for _, test := range []struct {
		env  vars
		want bool
	}{
		{vars{}, true},
		{vars{"JOURNAL_STREAM": "8:1234"}, false},
	} {
		var log lines
		newLogger(env{stderr: &log, getenv: test.env.get}, config{}).Info("hello", slog.Group("g", "time", "kept"))
		line := log.only(t)
		if _, got := line["time"]; got != test.want {
			t.Errorf("env %v: time in %v is %v", test.env, line, got)
		}
		if line["g"] == nil {
			t.Errorf("a time that is not the line's is lost: %v", line)
		}
	}
}

func TestLogLevelHoldsLinesBack(t *testing.T) {
	var log lines
	logger := newLogger(env{stderr: &log, getenv: vars{}.get}, config{LogLevel: slog.LevelWarn})
	logger.Info("no")
	logger.Warn("yes")
	if line := log.only(t); line["msg"] != "yes" {
		t.Errorf("logged %v", line)
	}
}
