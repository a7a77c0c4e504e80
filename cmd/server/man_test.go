package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// Broken on purpose, and seen red: tables flow; a verb of a verb has no page; a dash is
// a hyphen; a line that begins with a dot is a request; two paragraphs are begun at
// once; the second line of a row is left out.

// pages writes them all.
func pages(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "man", "man1")
	if got := call(vars{"SOURCE_DATE_EPOCH": "86400"}, "man", dir); got.code != 0 {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	return dir
}

func TestEachVerbHasAPage(t *testing.T) {
	dir := pages(t)
	var all func(cmd *cobra.Command)
	all = func(cmd *cobra.Command) {
		text, err := os.ReadFile(filepath.Join(dir, pageName(cmd)+".1"))
		if err != nil {
			t.Error(err)
		}
		contains(t, string(text), ".TH "+strings.ToUpper(pageName(cmd))+" 1 1970-01-02", ".SH NAME", ".SH OPTIONS")
		for _, verb := range cmd.Commands() {
			if verb.IsAvailableCommand() {
				all(verb)
			}
		}
	}
	all(newRoot(env{}))
	contains(t, call(nil, "man").stderr, "takes one directory")
}

func TestPagesAreWellFormed(t *testing.T) {
	mandoc := tool(t, "mandoc", "mandoc")
	written, err := filepath.Glob(pages(t) + "/*.1")
	must(t, err)
	if out, err := exec.Command(mandoc, append([]string{"-Tlint", "-Wwarning"}, written...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestPagesKeepTheirTables(t *testing.T) {
	mandoc := tool(t, "mandoc", "mandoc")
	dir := pages(t)
	shown := func(name string) string {
		out, err := exec.Command(mandoc, "-Tascii", "-Owidth=100", dir+"/"+name).Output()
		must(t, err)
		text := string(out)
		for i := strings.IndexByte(text, '\b'); i >= 0; i = strings.IndexByte(text, '\b') {
			text = text[:i-1] + text[i+1:] // bold is a letter over itself
		}
		return text
	}
	contains(t, shown("server-serve.1"),
		"\n       GET  /              a greeting from this release\n       GET  /slow?for=5s   the same, after that time\n",
		"\n       2   usage: a flag", "&chunked=1", "--tls-cert cert.pem --tls-key key.pem", "\n       --drain-timeout duration\n")
	contains(t, shown("server-retire.1"), "server retire --all-but v2\n", "server retire [RELEASE]... [flags]")
	contains(t, shown("server-doctor.1"), "server doctor --json | jq -r '.[] | select(", "\n       kernel     Linux")
	contains(t, shown("server-ticket-keys-rotate.1"), "\n         [Service]\n         Type=oneshot\n")
	contains(t, shown("server.1"), "server VERB [flags]", "--version", "server-ticket-keys(1)")
}

func TestTextComesOutAsItIs(t *testing.T) {
	for text, want := range map[string]string{
		`--a 'b' \n`: `\-\-a \(aqb\(aq \en`, ".profile": `\&.profile`, "~/`x`^": `\(ti/\(gax\(ga\(ha`,
	} {
		if got := roff(text); got != want {
			t.Errorf("%s is written as %s, want %s", text, got, want)
		}
	}
}

func TestThePagesOfABuildHaveItsDate(t *testing.T) {
	of := build{Time: "2026-11-22T10:00:00Z"}
	if at := dateOf(of, vars{"SOURCE_DATE_EPOCH": "86400"}.get); at.Year() != 1970 {
		t.Errorf("told to be of 1970, they are of %v", at)
	}
	if at := dateOf(of, vars{}.get); at.Format(time.DateOnly) != "2026-11-22" {
		t.Errorf("of a known revision they are of %v", at)
	}
	if at := dateOf(build{}, vars{}.get); time.Since(at) > time.Minute {
		t.Errorf("they are of %v", at)
	}
}
