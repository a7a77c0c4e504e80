package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/ba995850/overlap"
	"github.com/spf13/pflag"
)

const (
	retireGraceful = "graceful"
	retirePlain    = "plain"
)

// flags binds each field to its key. It is the one place where a key has its
// name, its default and its meaning: the environment, the file and --help take
// them from here.
func (c *config) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	fs.SortFlags = false // what is asked for most comes first
	fs.StringVar(&c.Addr, "addr", ":8080", "listen on this `host:port`")
	fs.StringVar(&c.Release, "release", buildVersion().Version, "the `name` of this version of the service")

	fs.DurationVar(&c.DrainTimeout, "drain-timeout", overlap.DefaultDrainTimeout,
		"bound of a whole retirement: what is left then is cut")
	fs.DurationVar(&c.FinishTimeout, "finish-timeout", overlap.DefaultFinishTimeout,
		"part of --drain-timeout that is kept for the last step, at most half of it if not set")
	fs.DurationVar(&c.LingerTimeout, "linger-timeout", overlap.DefaultLingerTimeout,
		"how long a connection may be idle, once we retire, before we close it: longer than clients keep one")
	fs.DurationVar(&c.SettleTimeout, "settle-timeout", overlap.DefaultSettleTimeout,
		"bound of the wait for handshakes that began with us")
	fs.Var(newChoice(&c.Retire, retireGraceful, retirePlain), "retire",
		"plain closes the listener at once, as everybody does, and loses requests: to compare")
	fs.BoolVar(&c.AllowMismatch, "allow-mismatch", false,
		"listen beside a socket that would take our connections from us, or we its, instead of sharing")

	fs.BoolVar(&c.AccessLog, "access-log", true, "one log line for each request")
	fs.Var(newChoice(&c.LogFormat, formatAuto, formatText, formatJSON), "log-format",
		"auto is text on a terminal and JSON elsewhere")
	fs.TextVar(&c.LogLevel, "log-level", slog.LevelInfo, "log nothing below this `level`: debug, info, warn or error")
	return fs
}

// choice is a flag that takes one of a few words.
type choice struct {
	value *string
	words []string
}

// newChoice returns the flag for value, whose default is the first word.
func newChoice(value *string, words ...string) *choice {
	*value = words[0]
	return &choice{value, words}
}

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return strings.Join(c.words, "|") }

func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("%q is none of %s", word, strings.Join(c.words, ", "))
	}
	*c.value = word
	return nil
}
