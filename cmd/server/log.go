package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/mattn/go-isatty"
)

const (
	formatAuto = "auto"
	formatText = "text"
	formatJSON = "json"
)

// newLogger returns the log of one instance: each line says whose it is, since
// two releases often write to one place.
func newLogger(env env, cfg config) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.LogLevel}
	if env.getenv("JOURNAL_STREAM") != "" {
		opts.ReplaceAttr = withoutTime // the journal notes the time itself
	}
	text := cfg.LogFormat == formatText || cfg.LogFormat == formatAuto && isTerminal(env.stderr)
	return slog.New(newHandler(env.stderr, text, opts)).With("release", cfg.Release, "pid", os.Getpid())
}

func newHandler(w io.Writer, text bool, opts *slog.HandlerOptions) slog.Handler {
	if text {
		return slog.NewTextHandler(w, opts)
	}
	return slog.NewJSONHandler(w, opts)
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(interface{ Fd() uintptr })
	return ok && isatty.IsTerminal(file.Fd())
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
