package main

import (
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Broken on purpose, and seen red:
//   - the tables do not scroll inside, or a picture has a fixed width: the page is wider than
//     the screen
//   - the page asks for an image elsewhere: the console says that it may not

// browse opens a page in a browser without a screen, and returns what became of it, and
// what the browser prints.
func browse(t *testing.T, page string, dark bool) (dom, log string) {
	t.Helper()
	scheme := "1"
	if dark {
		scheme = "0"
	}
	cmd := exec.CommandContext(t.Context(), "chromium",
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
		"--user-data-dir="+t.TempDir(), "--hide-scrollbars", "--window-size=1400,900",
		"--blink-settings=preferredColorScheme="+scheme, "--dump-dom", "file://"+page)
	var out, printed strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &printed
	if err := cmd.Run(); err != nil {
		t.Fatalf("browse %s: %v\n%s", page, err, &printed)
	}
	return out.String(), printed.String()
}

// frames is a page around a page, as wide as a desktop and as wide as a phone, that measures
// it. The page itself has no script, and would not run one; a window cannot be so narrow.
const frames = `<!doctype html><body><script>
onload = () => document.querySelectorAll("iframe").forEach(f => {
	const d = f.contentDocument, charts = [...d.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().width > 0)
	f.insertAdjacentText("afterend", "it is " + d.documentElement.scrollWidth + " of " + f.clientWidth + " wide, "
		+ charts.length + " charts on " + f.contentWindow.getComputedStyle(d.body).backgroundColor)
	f.remove()
})
</script>
<iframe style="border:0;width:1280px;height:900px" srcdoc="%[1]s"></iframe>
<iframe style="border:0;width:390px;height:900px" srcdoc="%[1]s"></iframe></body>`

func TestThePageIsFineInABrowser(t *testing.T) {
	needs(t, "chromium", "chromium")
	dir := t.TempDir()
	page, framed := filepath.Join(dir, "report.html"), filepath.Join(dir, "framed.html")
	reported(t, "testdata/small.jsonl", "--html", page)
	text := strings.ReplaceAll(contents(t, page), "<details>", "<details open>")
	if err := os.WriteFile(framed, fmt.Appendf(nil, frames, html.EscapeString(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dark := range []bool{false, true} {
		paper := "rgb(255, 255, 255)"
		if dark {
			paper = "rgb(13, 17, 23)"
		}
		dom, log := browse(t, framed, dark)
		if strings.Contains(log, "CONSOLE") {
			t.Errorf("the browser says\n%s", log)
		}
		for _, width := range []int{1280, 390} {
			want := fmt.Sprintf("it is %d of %[1]d wide, 7 charts on %s", width, paper)
			if _, is, _ := strings.Cut(dom, "</script>"); !strings.Contains(is, want) {
				t.Errorf("it should say %q, it says %s", want, is)
			}
		}
	}
}
