package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Broken on purpose, and seen red: a fitted part says "default"; what nobody has set is no
// comment; a list is one text; bad configuration is printed all the same.

// settingsOf returns what "config --json" prints, by key.
func settingsOf(t *testing.T, environ vars, args ...string) map[string]setting {
	t.Helper()
	got := call(environ, append([]string{"config", "--json"}, args...)...)
	if got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var all []setting
	must(t, json.Unmarshal([]byte(got.stdout), &all))
	byKey := make(map[string]setting)
	for _, s := range all {
		byKey[s.Key] = s
	}
	return byKey
}

func TestConfigSaysWhereEachValueComesFrom(t *testing.T) {
	file := write(t, "app.yaml", "log-format: json\n")
	all := settingsOf(t, vars{"OVERLAP_H2C": "true"}, "--config", file, "--drain-timeout", "2s")
	for key, want := range map[string][2]any{
		"h2c":            {true, "env OVERLAP_H2C"},
		"log-format":     {"json", "file " + file},
		"drain-timeout":  {"2s", "flag --drain-timeout"},
		"finish-timeout": {"1s", "fitted to drain-timeout"},
		"spread":         {"500ms", "fitted to drain-timeout"},
		"linger-timeout": {"10s", "default"},
	} {
		if got := all[key]; got.Value != want[0] || got.From != want[1] {
			t.Errorf("%s is %v from %s, want %v", key, got.Value, got.From, want)
		}
	}
	text := call(vars{"PORT": "81"}, "config").stdout
	contains(t, text, "KEY", "VALUE", "FROM", "env PORT")
	new(config).flags().VisitAll(func(f *pflag.Flag) { contains(t, text, f.Name) })
}

func TestTheYAMLOfConfigIsTheSameConfiguration(t *testing.T) {
	args := []string{"--addr", ":1,http://:2"}
	for key, value := range other {
		if key != "addr" && key != "access-log" {
			args = append(args, "--"+key+"="+value)
		}
	}
	text := call(nil, append([]string{"config", "--yaml"}, args...)...).stdout
	contains(t, text, "\n# access-log: true # default\n", `addr: [":1","http://:2"]`)
	before, after := settingsOf(t, nil, args...), settingsOf(t, nil, "--config", write(t, "again.yaml", text))
	for key, s := range before {
		if got := after[key]; s.text() != got.text() {
			t.Errorf("%s was %v, and is %v", key, s.Value, got.Value)
		}
	}
	if from := after["access-log"].From; from != unset {
		t.Errorf("a default has become a value from %s", from)
	}
}

func TestConfigRefusesWhatServeRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--spread", "1h"}, {"--config", write(t, "a.yaml", "colour: red\n")}, {"--addr", "ftp://:1"},
	} {
		asServe, got := call(nil, append([]string{"serve"}, args...)...), call(nil, append([]string{"config"}, args...)...)
		if got.code != exitConfig || got.stderr != asServe.stderr || got.stdout != "" {
			t.Errorf("%v: exit code %d, %s%s", args, got.code, got.stdout, got.stderr)
		}
	}
	if got := call(nil, "config", "--json", "--yaml"); got.code != exitUsage || !strings.Contains(got.stderr, "not both") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

func TestConfigPrintsNoSecrets(t *testing.T) {
	const secret = "dGhpcyBpcyBub3QgdG8gYmUgc2VlbiBieSBhbnlib2R5"
	keys := write(t, "keys", secret+"\n")
	got := call(nil, "config", "--tls-cert", "c.pem", "--tls-key", "k.pem", "--tls-ticket-keys", keys)
	contains(t, got.stdout, keys)
	if strings.Contains(got.stdout, secret) {
		t.Error("it prints the keys")
	}
}
