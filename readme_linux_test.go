package overlap

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// blocks returns the fenced blocks of README.md in a language, below a heading.
func blocks(t *testing.T, lang, heading string) []string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("README.md has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var texts []string
	for _, m := range regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllStringSubmatch(section, -1) {
		texts = append(texts, m[1])
	}
	return texts
}

// shell runs a script as a reader would, and returns what it prints.
func shell(t *testing.T, script string) (out string, err error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "bash", "-c", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"+script)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that the trap runs
	cmd.WaitDelay = 10 * time.Second
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func TestTheCommandsOfTheREADMEDoWhatItSays(t *testing.T) {
	see := blocks(t, "sh", "See it")
	if len(see) != 3 || see[2] != "go test ./...\n" { // the last one is what runs this
		t.Fatalf("the blocks are %q", see)
	}
	if out, err := shell(t, see[0]); err != nil || !regexp.MustCompile(`PASS: 0 of \d+ requests lost in 5 upgrades`).MatchString(out) {
		t.Errorf("%s%v\n%s", see[0], err, out)
	}
	if out, err := shell(t, see[1]); err == nil || !strings.Contains(out, "FAIL: ") {
		t.Errorf("%s%v\n%s", see[1], err, out)
	}
}

func TestTheTakeoverByHandOfTheREADME(t *testing.T) {
	parts := blocks(t, "sh", "By hand")
	if len(parts) != 4 {
		t.Fatalf("the blocks are %q", parts)
	}
	bin := filepath.Join(t.TempDir(), "server")
	script := strings.Join(parts, "echo --\n")
	script = strings.ReplaceAll(script, "127.0.0.1:8080", freeAddr(t))
	script = strings.ReplaceAll(script, "-o server", "-o "+bin)
	script = strings.ReplaceAll(script, "./server", bin)
	out, err := shell(t, "set -e\n"+script)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := strings.Split(out, "--\n")
	if !strings.Contains(said[1], "hello from v1") && !strings.Contains(said[1], "hello from v2") {
		t.Errorf("while both serve:\n%s", said[1])
	}
	if strings.Contains(said[2], "hello from v1\n") || strings.Count(said[2], "hello from v2\n") != 8 {
		t.Errorf("after SIGTERM:\n%s", said[2])
	}
	if !strings.Contains(said[2], "hello from v1 after 5s") {
		t.Errorf("the slow request did not end with the answer of v1:\n%s", said[2])
	}
	if !strings.Contains(said[2], `"lossless":true`) {
		t.Errorf("there is no lossless verdict:\n%s", said[2])
	}
	if !regexp.MustCompile(`PASS: 0 of \d+ requests lost in 1 upgrade\n`).MatchString(said[3]) {
		t.Errorf("the upgrade under load:\n%s", said[3])
	}
}

func TestTheUpgradeOfTheREADME(t *testing.T) {
	parts := blocks(t, "sh", "Operate it")
	if len(parts) != 1 {
		t.Fatalf("the blocks are %q", parts)
	}
	dir := t.TempDir()
	script := strings.ReplaceAll(parts[0], "127.0.0.1:8080", freeAddr(t))
	for _, release := range []string{"v1", "v2"} { // others may have these names meanwhile
		script = strings.ReplaceAll(script, release, "readme-"+release)
	}
	out, err := shell(t, "set -e\ngo build -o "+dir+"/server ./cmd/server\ncd "+dir+"\n"+script)
	if err != nil || !strings.Contains(out, "lossless: readme-v2 took over in ") {
		t.Errorf("%v\n%s", err, out)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestThePicturesOfTheREADMEAreThere(t *testing.T) {
	for _, file := range []string{"README.md", "bench/README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`src(?:set)?="(.*?)"`).FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s shows nothing", file)
		}
		for _, m := range found {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestTheProgramsOfTheREADMECompile(t *testing.T) {
	programs := blocks(t, "go", "Use it in your service")
	if len(programs) != 2 {
		t.Fatalf("the blocks are %q", programs)
	}
	for _, program := range programs {
		// In the module, so that it finds what it imports; "_" is no package of it.
		dir, err := os.MkdirTemp(".", "_readme")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := shell(t, "go vet ./"+dir+" && test -z \"$(gofmt -l "+dir+")\""); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, program)
		}
	}
}

func TestTheREADMEAndTheDocumentationPromiseTheSame(t *testing.T) {
	readme := bullets(t, "README.md", "- ", "\n## ")
	doc := bullets(t, "doc.go", "//   - ", "\n// It needs")
	if len(doc) != 5 || len(readme) != len(doc) {
		t.Fatalf("README promises %d things, doc.go %d", len(readme), len(doc))
	}
	for i := range doc {
		if readme[i] != doc[i] {
			t.Errorf("README: %s\ndoc.go: %s", readme[i], doc[i])
		}
	}
}

// bullets returns the first list of a file, as plain words.
func bullets(t *testing.T, file, mark, end string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\n"+mark)
	list, _, _ = strings.Cut(list, end)
	items := strings.Split(list, "\n"+mark)
	for i, item := range items {
		item = strings.NewReplacer("//", "", "`", "", "[Verdict]", "verdict", "[Tier]", "Tier").Replace(item)
		item, _, _ = strings.Cut(item, ": see Tier")
		items[i] = strings.TrimSuffix(strings.Join(strings.Fields(item), " "), ".")
	}
	return items
}
