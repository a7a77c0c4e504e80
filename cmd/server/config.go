package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// config is what `server serve` can be told. Its flags method has the names.
type config struct {
	Addr      []string
	AdminAddr string
	Release   string

	TLSCert       string
	TLSKey        string
	TLSTicketKeys string
	H2C           bool

	DrainTimeout   time.Duration
	FinishTimeout  time.Duration
	LingerTimeout  time.Duration
	SettleTimeout  time.Duration
	Spread         time.Duration
	Retire         string
	Dark           bool
	AllowMismatch  bool
	AllowStrangers bool

	AccessLog bool
	LogFormat string
	LogLevel  slog.Level

	origin map[string]string // where each key that is not at its default was set
}

// load fills in what no flag has set, from the environment and from the file at
// path ("" means OVERLAP_CONFIG, and if that is not set either, no file).
func (c *config) load(flags *pflag.FlagSet, path string, getenv func(string) string) error {
	s := &sources{viper: viper.New(), flags: flags, origin: map[string]string{}}
	for _, layer := range []func() error{
		func() error { return s.readPort(getenv("PORT")) },
		func() error { return s.readFile(cmp.Or(path, getenv(envName("config")))) },
		func() error { return s.readEnv(getenv) },
		s.readFlags,
		s.apply,
	} {
		if err := layer(); err != nil {
			return err
		}
	}
	c.origin = s.origin
	c.fitDrain()
	return c.validate()
}

// fitDrain lets somebody shorten the whole without naming the parts.
func (c *config) fitDrain() {
	c.fit("finish-timeout", &c.FinishTimeout, c.DrainTimeout/2)
	c.fit("spread", &c.Spread, c.DrainTimeout/4)
}

// fit shortens a part that nobody has named.
func (c *config) fit(key string, part *time.Duration, most time.Duration) {
	if c.origin[key] == "" && *part > most {
		*part, c.origin[key] = most, fitted
	}
}

// fitted is the origin of what was shortened.
const fitted = "fitted to drain-timeout"

func envName(key string) string {
	return "OVERLAP_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// sources gathers the values of all keys. Each layer is laid over the one
// before, in viper and in origin alike, so that the two cannot tell different
// stories.
type sources struct {
	viper  *viper.Viper
	flags  *pflag.FlagSet
	origin map[string]string
}

// readPort is for platforms that say the port and nothing else (12factor.net).
func (s *sources) readPort(port string) error {
	if port != "" {
		s.viper.SetDefault("addr", ":"+port)
		s.origin["addr"] = "env PORT"
	}
	return nil
}

func (s *sources) readFile(path string) error {
	if path == "" {
		return nil
	}
	format, err := formatOf(path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	s.viper.SetConfigType(format)
	if err := s.viper.ReadConfig(bytes.NewReader(text)); err != nil {
		return fmt.Errorf("read config %s: %w", path, err)
	}
	return s.takeKeys(path)
}

func formatOf(path string) (string, error) {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".yaml", ".yml", ".toml":
		return ext[1:], nil
	default:
		return "", fmt.Errorf("read config %s: what is not YAML or TOML is not understood: name it .yaml, .yml or .toml", path)
	}
}

// takeKeys notes the keys of the file. A misspelt one must not mean its default.
func (s *sources) takeKeys(path string) error {
	var errs []error
	for _, key := range slices.Sorted(slices.Values(s.viper.AllKeys())) {
		s.origin[key] = "file " + path
		switch {
		case s.flags.Lookup(key) == nil:
			hint := didYouMean(key, flagNames(s.flags))
			errs = append(errs, fmt.Errorf("unknown key %q in %s%s", key, path, hint))
		case s.viper.Get(key) == nil:
			errs = append(errs, fmt.Errorf("%s (file %s): has no value", key, path))
		}
	}
	return errors.Join(errs...)
}

// readEnv lays the environment over the file. Viper could read it by itself,
// but only from the process; ours is a parameter, so that tests can run side by
// side. A variable that is set to nothing counts as not set.
func (s *sources) readEnv(getenv func(string) string) error {
	set := map[string]any{}
	s.flags.VisitAll(func(f *pflag.Flag) {
		if value := getenv(envName(f.Name)); value != "" {
			set[f.Name] = value
			s.origin[f.Name] = "env " + envName(f.Name)
		}
	})
	return s.viper.MergeConfigMap(set)
}

func (s *sources) readFlags() error {
	s.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			s.origin[f.Name] = "flag --" + f.Name
		}
	})
	return s.viper.BindPFlags(s.flags)
}

// apply writes the values through the flags, whose parsers are the only ones:
// what is wrong on the command line is wrong in a file, in the same words.
func (s *sources) apply() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(s.origin)) {
		if err := set(s.flags.Lookup(key), s.viper.Get(key)); err != nil {
			errs = append(errs, fmt.Errorf("%s (%s): %w", key, s.origin[key], err))
		}
	}
	return errors.Join(errs...)
}

// set refuses to make text of what a file means as something else: the release
// 1.10, without quotes, is the number 1.1.
func set(f *pflag.Flag, value any) error {
	if l, isList := f.Value.(*list); isList {
		return l.replace(value)
	}
	if _, isText := value.(string); f.Value.Type() == "string" && !isText {
		return notText(value)
	}
	return f.Value.Set(fmt.Sprint(value))
}

func notText(value any) error { return fmt.Errorf("%v is not text: put it in quotes", value) }
