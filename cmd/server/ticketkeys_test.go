package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Broken on purpose, and seen red:
//   - the mode is not looked at; an error has the line in it:
//     TestATicketFileThatCannotBeUsedIsAConfigurationError
//   - all keys are the same; they are not set on the server's own configuration; a broken
//     file makes the old ones be forgotten: TestChangedTicketKeysAreUsedWithoutARestart

// oneKey is a line with a key of which every byte is b.
func oneKey(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) + "\n"
}

func TestATicketFileThatCannotBeUsedIsAConfigurationError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newKeyPair(t, 1).in(t, dir)
	short := base64.StdEncoding.EncodeToString([]byte("secret of 18 bytes"))
	for name, test := range map[string]struct {
		text string
		mode os.FileMode
		want []string
	}{
		"missing":        {"", 0, []string{"no such file"}},
		"empty":          {"", 0o600, []string{"there is no key in it", "ticket-keys rotate"}},
		"comments only":  {"# nothing\n", 0o600, []string{"there is no key in it"}},
		"too short":      {oneKey(1) + "\n# next\n" + short, 0o600, []string{"line 4", "18 bytes, want 32"}},
		"no base64":      {"not a key at all", 0o600, []string{"line 1", "base64"}},
		"world-readable": {oneKey(1), 0o644, []string{"mode 0644", "chmod 600"}},
		"group-writable": {oneKey(1), 0o620, []string{"mode 0620", "chmod 600"}},
		"too long":       {strings.Repeat(oneKey(1), maxFile/44), 0o600, []string{"more than"}},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if test.mode != 0 {
			overwrite(t, path, []byte(test.text))
			must(t, os.Chmod(path, test.mode))
		}
		var stderr bytes.Buffer
		args := append([]string{"serve", "--addr", "127.0.0.1:0", "--tls-ticket-keys", path}, tlsFlags(dir)...)
		if code := run(env{stderr: &stderr, getenv: vars{}.get}, args); code != exitConfig {
			t.Errorf("%s: exit code %d, want %d", name, code, exitConfig)
		}
		contains(t, stderr.String(), append(test.want, "tls-ticket-keys", path)...)
		if strings.Contains(stderr.String(), short) || strings.Contains(stderr.String(), "not a key at all") {
			t.Errorf("%s: a secret is in %s", name, &stderr)
		}
	}
}

// resuming is a client that has a session cache.
func resuming(version uint16) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true, MinVersion: version, MaxVersion: version,
			ClientSessionCache: tls.NewLRUClientSessionCache(1), ServerName: "localhost",
		},
	}}
}

// resumed makes a request on a new connection, by whichever release, and says which it
// was and whether the session was resumed.
func resumed(t *testing.T, c *http.Client, addr string) (release string, did bool) {
	t.Helper()
	resp, err := c.Get("https://" + addr + "/")
	must(t, err)
	defer resp.Body.Close()
	_, err = new(bytes.Buffer).ReadFrom(resp.Body) // the ticket comes with the answer
	must(t, err)
	return resp.Header.Get("Release"), resp.TLS.DidResume
}

func TestSessionsResumeWithTheNextReleaseThatHasTheSameKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newKeyPair(t, 1).in(t, dir)
	keys := filepath.Join(dir, "ticket-keys")
	overwrite(t, keys, []byte("# ours\n"+oneKey(1)+oneKey(2)))
	const clients = 10
	for name, flags := range map[string][]string{"the same keys": {"--tls-ticket-keys", keys}, "no keys": nil} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+", "+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				v1, addr := startTLS(t, dir, "127.0.0.1:0", append(flags, "--release", "v1")...)
				all := make([]*http.Client, clients)
				for i := range all {
					all[i] = resuming(version)
					if _, did := resumed(t, all[i], addr); did {
						t.Fatal("a first session was resumed")
					}
				}
				startTLS(t, dir, addr, append(flags, "--release", "v2")...)
				v1.signal(t, syscall.SIGTERM)
				v1.await(t, "verdict", "")
				did := 0
				for _, c := range all {
					release, resumed := resumed(t, c, addr)
					if release != "v2" {
						t.Fatalf("%s answered after the verdict of v1", release)
					}
					if resumed {
						did++
					}
				}
				if want := min(clients, clients*len(flags)); did != want {
					t.Errorf("%d of %d sessions were resumed, want %d", did, clients, want)
				}
			})
		}
	}
}

func TestChangedTicketKeysAreUsedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newKeyPair(t, 1).in(t, dir)
	keys := filepath.Join(dir, "ticket-keys")
	overwrite(t, keys, []byte(oneKey(1)))
	p, addr := startTLS(t, dir, "127.0.0.1:0", "--tls-ticket-keys", keys)
	c := resuming(tls.VersionTLS13)
	resumed(t, c, addr)
	fingerprints := func(bytes ...byte) (prints []any) {
		for _, b := range bytes {
			prints = append(prints, fingerprint([]byte(strings.Repeat(string([]byte{b}), 32))))
		}
		return prints
	}
	// The log tells which keys are in use by now, at first too.
	uses := func(want []any) {
		t.Helper()
		if line := p.await(t, "ticket keys", ""); fmt.Sprint(line["keys"]) != fmt.Sprint(want) {
			t.Fatalf("logged %v, want the keys %v", line, want)
		}
	}
	uses(fingerprints(1))
	overwrite(t, keys, []byte(oneKey(2)+oneKey(1)))
	uses(fingerprints(2, 1))
	if _, did := resumed(t, c, addr); !did {
		t.Error("the old key is in the file, and its session was not resumed")
	}
	overwrite(t, keys, []byte(oneKey(2)[:20])) // half-written
	if line := p.await(t, "ticket keys", ""); line["level"] != "ERROR" || line["kept"] == nil {
		t.Errorf("logged %v", line)
	}
	if _, did := resumed(t, c, addr); !did {
		t.Error("the keys from before are not in use any more")
	}
	overwrite(t, keys, []byte(oneKey(3)))
	uses(fingerprints(3))
	if _, did := resumed(t, c, addr); did {
		t.Error("a session was resumed whose key is not there any more")
	}
}
