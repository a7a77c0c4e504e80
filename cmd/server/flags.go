package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ba995850/overlap"
	"github.com/spf13/pflag"
)

// defaultSpread keeps ten thousand clients from coming back in one millisecond.
const defaultSpread = time.Second

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
	fs.Var(newList(&c.Addr, ":8080"), "addr",
		"listen on this `address`: host:port, or http:// or https:// and that; can be repeated")
	fs.StringVar(&c.AdminAddr, "admin-addr", "",
		"answer scrapes, for all instances, on this `address`, which they share: host:port")
	fs.StringVar(&c.Release, "release", buildVersion().Version, "the `name` of this version of the service")

	fs.StringVar(&c.TLSCert, "tls-cert", "", "certificate chain, a PEM `file` that is read again when it changes")
	fs.StringVar(&c.TLSKey, "tls-key", "", "its private key, a PEM `file`, likewise")
	fs.StringVar(&c.TLSTicketKeys, "tls-ticket-keys", "",
		"session ticket keys, a `file` that all releases share, so that sessions outlive an upgrade")
	fs.BoolVar(&c.H2C, "h2c", false, "HTTP/2 in clear too, beside HTTP/1, on addresses without TLS")

	fs.DurationVar(&c.DrainTimeout, "drain-timeout", overlap.DefaultDrainTimeout,
		"bound of a whole retirement: what is left then is cut")
	fs.DurationVar(&c.FinishTimeout, "finish-timeout", overlap.DefaultFinishTimeout,
		"part of --drain-timeout that is kept for the last step, at most half of it if not set")
	fs.DurationVar(&c.LingerTimeout, "linger-timeout", overlap.DefaultLingerTimeout,
		"how long a connection may be idle, once we retire, before we close it: longer than clients keep one")
	fs.DurationVar(&c.SettleTimeout, "settle-timeout", overlap.DefaultSettleTimeout,
		"bound of the wait for handshakes that began with us")
	fs.DurationVar(&c.Spread, "spread", defaultSpread,
		"time over which event streams and WebSockets are told to come again, each at a moment of its own")
	fs.Var(newChoice(&c.Retire, retireGraceful, retirePlain), "retire",
		"plain closes the listener at once, as everybody does, and loses requests: to compare")
	fs.BoolVar(&c.Dark, "dark", false, "stay out of the rotation until \"server pin\"")
	fs.BoolVar(&c.AllowMismatch, "allow-mismatch", false,
		"listen beside a socket that would take our connections from us, or we its, instead of sharing")
	fs.BoolVar(&c.AllowStrangers, "allow-strangers", false,
		"share the port with processes that are no instances, or have no endpoint")

	fs.BoolVar(&c.AccessLog, "access-log", true, "one log line for each request")
	fs.Var(newChoice(&c.LogFormat, formatAuto, formatText, formatJSON), "log-format",
		"auto is text on a terminal and JSON elsewhere")
	fs.TextVar(&c.LogLevel, "log-level", slog.LevelInfo, "log nothing below this `level`: debug, info, warn or error")
	return fs
}

// list is a flag that can be repeated, and takes several values with commas between.
type list struct {
	values *[]string
	given  bool // the first value replaces the default
}

// newList returns the flag for values, whose default is the one given here.
func newList(values *[]string, first string) *list {
	*values = []string{first}
	return &list{values: values}
}

func (l *list) String() string { return strings.Join(*l.values, ",") }
func (l *list) Type() string   { return "list" }

func (l *list) Set(text string) error {
	if !l.given {
		*l.values, l.given = nil, true
	}
	for part := range strings.SplitSeq(text, ",") {
		*l.values = append(*l.values, strings.TrimSpace(part))
	}
	return nil
}

// replace takes what a file means as a list, or what Set would take.
func (l *list) replace(value any) error {
	parts, isList := value.([]any)
	if !isList {
		parts = []any{value}
	}
	*l.values, l.given = nil, true
	for _, part := range parts {
		text, isText := part.(string)
		if !isText {
			return notText(part)
		}
		_ = l.Set(text) // any text will do
	}
	return nil
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
