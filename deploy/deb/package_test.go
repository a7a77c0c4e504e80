package deb

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/ba995850/overlap/deploy/internal/recipe"
)

func TestLintianHasNothingToSay(t *testing.T) {
	recipe.Need(t, "lintian", "lintian")
	packages(t)
	out := recipe.Run(t, "lintian", "--allow-root", "--pedantic", "--display-info", "--fail-on", "error,warning,info,pedantic", file("1.0.0"))
	if strings.Contains(out, "overlap:") {
		t.Error("it has found something")
	}
	recipe.Run(t, "shellcheck", "build.sh", "DEBIAN/postinst", "DEBIAN/prerm", "DEBIAN/postrm")
}

func TestTheSameCommitMakesTheSamePackage(t *testing.T) {
	packages(t)
	once, err := os.ReadFile(file("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(build(t, "1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(once, again) {
		t.Error("built twice, they differ")
	}
}

func TestAVersionThatDpkgWouldNotTakeIsRefused(t *testing.T) {
	for _, version := range []string{"v1.0.0", "1.0_0", "''"} {
		recipe.Refuses(t, "./build.sh "+version, "build.sh")
	}
}

func TestVerbsAreTypedAsOverlap(t *testing.T) {
	packages(t)
	t.Cleanup(func() { purge(t) })
	apt(t, "install", file("1.0.0"))
	if out := recipe.Run(t, "overlap", "version"); !strings.Contains(out, " 1.0.0 ") {
		t.Error("it is not 1.0.0")
	}
	for page, says := range map[string]string{"overlap": "overlap-retire(1)", "overlap-retire": "overlap retire v1"} {
		text := recipe.Run(t, "man", "--no-hyphenation", "--warnings", "--ascii", page)
		if !strings.Contains(text, says) || strings.Contains(text, "warning:") {
			t.Errorf("the page %s is not well", page)
		}
	}
	// What a shell does at the first press of the key.
	out := recipe.Run(t, "bash", "-c", `. /usr/share/bash-completion/bash_completion
		_completion_loader overlap || [ $? = 124 ]
		COMP_WORDS=(overlap ret) COMP_CWORD=1 COMP_LINE='overlap ret' COMP_POINT=11 COMP_TYPE=9 COMP_KEY=9
		$(complete -p overlap | sed 's/.*-F \([^ ]*\) .*/\1/')
		echo "completed: ${COMPREPLY[0]}"`)
	if !strings.Contains(out, "\ncompleted: retire") {
		t.Error("the shell does not complete retire")
	}
}
