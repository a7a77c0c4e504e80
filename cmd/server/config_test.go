package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load is the way of a configuration from its sources, as the serve command
// goes it.
func load(env vars, file string, args ...string) (config, error) {
	var c config
	flags := c.flags()
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	return c, c.load(flags, file, env.get)
}

// write returns the path of a file with text in it.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagBeatsEnvironmentBeatsFileBeatsPortBeatsDefault(t *testing.T) {
	file := write(t, "app.yaml", "addr: :3\n")
	flag, env, port := []string{"--addr", ":1"}, "OVERLAP_ADDR", "PORT"
	for _, test := range []struct {
		name   string
		env    vars
		file   string
		args   []string
		addr   string
		origin string
	}{
		{"flag", vars{env: ":2", port: "4"}, file, flag, ":1", "flag --addr"},
		{"environment", vars{env: ":2", port: "4"}, file, nil, ":2", "env OVERLAP_ADDR"},
		{"file", vars{port: "4"}, file, nil, ":3", "file " + file},
		{"file named by the environment", vars{"OVERLAP_CONFIG": file}, "", nil, ":3", "file " + file},
		{"port", vars{port: "4"}, "", nil, ":4", "env PORT"},
		{"default", nil, "", nil, ":8080", "default"},
		{"empty variables are not set", vars{env: "", port: ""}, "", nil, ":8080", "default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := load(test.env, test.file, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(c.Addr, ",") != test.addr || c.from("addr") != test.origin {
				t.Errorf("%v from %s, want %s from %s", c.Addr, c.from("addr"), test.addr, test.origin)
			}
		})
	}
}

// other has a value for each key that is not its default.
var other = map[string]string{
	"addr":            "127.0.0.1:9000",
	"admin-addr":      "127.0.0.1:9100",
	"release":         "v2",
	"tls-cert":        "cert.pem",
	"tls-key":         "key.pem",
	"tls-ticket-keys": "keys",
	"h2c":             "true",
	"drain-timeout":   "1m0s",
	"finish-timeout":  "6s",
	"linger-timeout":  "11s",
	"settle-timeout":  "9s",
	"spread":          "3s",
	"retire":          "plain",
	"dark":            "true",
	"allow-mismatch":  "true",
	"allow-strangers": "true",
	"access-log":      "false",
	"log-format":      "text",
	"log-level":       "WARN",
}

// company is the keys without which a key makes no sense.
var company = map[string][]string{
	"tls-cert":        {"--tls-key=key.pem"},
	"tls-key":         {"--tls-cert=cert.pem"},
	"tls-ticket-keys": {"--tls-cert=cert.pem", "--tls-key=key.pem"},
}

func TestEachKeyCanBeSetByFlagEnvironmentAndFile(t *testing.T) {
	new(config).flags().VisitAll(func(f *pflag.Flag) {
		value, ok := other[f.Name]
		if !ok || value == f.DefValue {
			t.Errorf("no value to test %s with", f.Name)
		}
		yaml := write(t, "a.yaml", f.Name+": "+quoted(f, value))
		toml := write(t, "a.toml", f.Name+" = "+quoted(f, value))
		wantValue(t, f.Name, value, nil, "", "--"+f.Name+"="+value)
		wantValue(t, f.Name, value, vars{envName(f.Name): value}, "")
		wantValue(t, f.Name, value, nil, yaml)
		wantValue(t, f.Name, value, nil, toml)
	})
}

func quoted(f *pflag.Flag, value string) string {
	if f.Value.Type() == "bool" {
		return value
	}
	return `"` + value + `"`
}

func wantValue(t *testing.T, key, want string, env vars, file string, args ...string) {
	t.Helper()
	var c config
	flags := c.flags()
	if err := flags.Parse(append(args, company[key]...)); err != nil {
		t.Error(err)
	}
	if err := c.load(flags, file, env.get); err != nil {
		t.Error(err)
	}
	if got := flags.Lookup(key).Value.String(); got != want {
		t.Errorf("%s is %s, want %s (env %v, file %q, args %v)", key, got, want, env, file, args)
	}
}

func TestBadConfigurationNamesTheKeyAndWhereItWasSet(t *testing.T) {
	for _, test := range []struct {
		name  string
		env   vars
		file  string // its text; "" is none
		args  []string
		wants []string
	}{
		{"unknown key", nil, "drain-timeut: 5s", nil, []string{`"drain-timeut"`, "app.yaml", `did you mean "drain-timeout"?`}},
		{"unknown key inside another", nil, "drain:\n  timeout: 5s", nil, []string{`"drain.timeout"`, `did you mean "drain-timeout"?`}},
		{"key from nowhere", nil, "colour: blue", nil, []string{`"colour"`, "app.yaml"}},
		{"two bad keys", nil, "colour: blue\nshape: round", nil, []string{`"colour"`, `"shape"`}},
		{"no unit in the file", nil, "linger-timeout: 30", nil, []string{"linger-timeout (file ", "app.yaml", `"30"`}},
		{"no unit in the environment", vars{"OVERLAP_DRAIN_TIMEOUT": "30"}, "", nil, []string{"drain-timeout (env OVERLAP_DRAIN_TIMEOUT)", `"30"`}},
		{"no truth", vars{"OVERLAP_ACCESS_LOG": "perhaps"}, "", nil, []string{"access-log (env OVERLAP_ACCESS_LOG)", `"perhaps"`}},
		{"no such choice", vars{"OVERLAP_RETIRE": "fast"}, "", nil, []string{"retire (env OVERLAP_RETIRE)", "graceful, plain"}},
		{"no such level", nil, "log-level: loud", nil, []string{"log-level (file ", `"loud"`}},
		{"number for a name", nil, "release: 1.10", nil, []string{"release (file ", "quotes"}},
		{"nothing for a name", nil, "release:", nil, []string{"release (file ", "no value"}},
		{"negative flag", nil, "", []string{"--settle-timeout=-1s"}, []string{"settle-timeout (flag --settle-timeout)", "negative"}},
		{"negative in the file", nil, "linger-timeout: -1s", nil, []string{"linger-timeout (file ", "negative"}},
		{"finish as long as drain", nil, "drain-timeout: 5s", []string{"--finish-timeout=5s"},
			[]string{"finish-timeout (flag --finish-timeout)", "drain-timeout", "app.yaml"}},
		{"finish longer than the default of drain", vars{"OVERLAP_FINISH_TIMEOUT": "1m"}, "", nil,
			[]string{"finish-timeout (env OVERLAP_FINISH_TIMEOUT)", "30s (default)"}},
		{"no time at all", nil, "", []string{"--drain-timeout=0s"}, []string{"drain-timeout", "flag --drain-timeout"}},
		{"address without port", nil, "", []string{"--addr=localhost"}, []string{"addr (flag --addr)", "localhost", ":8080"}},
		{"no such port", vars{"PORT": "99999"}, "", nil, []string{"addr (env PORT)", "99999"}},
		{"release that is no header", nil, "", []string{"--release=v1\r\nX: y"}, []string{"release (flag --release)"}},
		{"empty release", nil, "", []string{"--release="}, []string{"release (flag --release)"}},
		{"neither http nor https", nil, "", []string{"--addr=tcp://:8080"}, []string{"addr (flag --addr)", `"tcp"`, "https"}},
		{"address with a path", nil, "", []string{"--addr=http://:8080/x"}, []string{"addr (flag --addr)", "8080/x"}},
		{"address twice", nil, "addr: [':8080', 'http://:8080']", nil, []string{"addr (file ", ":8080", "twice"}},
		{"number for an address", nil, "addr: [8080]", nil, []string{"addr (file ", "8080", "quotes"}},
		{"admin address without port", nil, "", []string{"--admin-addr=localhost"}, []string{"admin-addr (flag --admin-addr)", "localhost"}},
		{"admin address with a scheme", nil, "", []string{"--admin-addr=http://:9100"}, []string{"admin-addr (flag --admin-addr)", "host:port"}},
		{"admin port that is the service's", nil, "admin-addr: 127.0.0.1:8080", []string{"--addr=:8080"}, []string{"admin-addr (file ", "8080", "another"}},
		{"no address", nil, "addr: []", nil, []string{"addr (file ", "empty"}},
		{"https without a certificate", vars{"OVERLAP_ADDR": "https://:8443"}, "", nil, []string{"addr (env OVERLAP_ADDR)", "tls-cert", "tls-key"}},
		{"certificate without key", nil, "tls-cert: c.pem", nil, []string{"tls-cert (file ", "tls-key"}},
		{"key without certificate", nil, "", []string{"--tls-key=k.pem"}, []string{"tls-key (flag ", "tls-cert"}},
		{"ticket keys without a certificate", nil, "", []string{"--tls-ticket-keys=t"}, []string{"tls-ticket-keys (flag ", "tls-cert"}},
		{"certificate for nobody", nil, "", []string{"--tls-cert=c", "--tls-key=k", "--addr=http://:1"}, []string{"tls-cert (flag ", "https://"}},
		{"HTTP/2 in clear for nobody", nil, "", []string{"--tls-cert=c", "--tls-key=k", "--h2c"}, []string{"h2c (flag ", "http://"}},
		{"spread over all of drain", nil, "drain-timeout: 5s", []string{"--spread=5s"}, []string{"spread (flag --spread)", "drain-timeout", "app.yaml"}},
		{"negative spread", nil, "spread: -1s", nil, []string{"spread (file ", "negative"}},
		{"not YAML", nil, "a: b: c", nil, []string{"app.yaml", "yaml"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"serve"}, test.args...)
			if test.file != "" {
				args = append(args, "--config", write(t, "app.yaml", test.file))
			}
			got := call(test.env, args...)
			if got.code != exitConfig {
				t.Errorf("exit code %d, want %d", got.code, exitConfig)
			}
			contains(t, got.stderr, test.wants...)
		})
	}
}

func TestConfigFileMustBeReadable(t *testing.T) {
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none.yaml"): "no such file",
		write(t, "app.ini", "addr=:1"):          ".toml",
		write(t, "app", "addr: :1"):             ".yaml",
	} {
		got := call(nil, "serve", "--config", path)
		if got.code != exitConfig {
			t.Errorf("%s: exit code %d, want %d", path, got.code, exitConfig)
		}
		contains(t, got.stderr, path, want)
	}
}

func TestShortDrainShortensItsPartsUnlessTheyAreSet(t *testing.T) {
	c, err := load(nil, "", "--drain-timeout=4s")
	if err != nil {
		t.Fatal(err)
	}
	if c.FinishTimeout != 2*time.Second {
		t.Errorf("finish-timeout %v, want half of drain-timeout", c.FinishTimeout)
	}
	if c, err = load(nil, "", "--drain-timeout=2s"); err != nil || c.Spread != 500*time.Millisecond {
		t.Errorf("spread %v, want a quarter of drain-timeout (%v)", c.Spread, err)
	}
}

func TestEnvironmentNamesFollowTheFlags(t *testing.T) {
	for _, test := range []struct{ key, want string }{
		{"addr", "OVERLAP_ADDR"},
		{"drain-timeout", "OVERLAP_DRAIN_TIMEOUT"},
		{"access-log", "OVERLAP_ACCESS_LOG"},
	} {
		if got := envName(test.key); got != test.want {
			t.Errorf("envName(%q) = %s, want %s", test.key, got, test.want)
		}
	}
}
