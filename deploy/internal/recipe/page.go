package recipe

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Workplace is a copy of a recipe's folder, with the program "server" in it, where an
// operator types what the README says.
const Workplace = "/root/recipe"

// Type types the commands of a section of the recipe's README: its code blocks marked sh,
// in a shell that ends at the first failure. It returns what they have printed.
func Type(t testing.TB, section string) string {
	t.Helper()
	return Shell(t, Section(t, section))
}

// Paste types them as who pastes them into a shell: that goes on after a failure.
func Paste(t testing.TB, section string) string {
	t.Helper()
	workplace(t)
	return finish(t, commandIn(Workplace, "bash", "-x", "-c", Section(t, section)+"\ntrue"), section)
}

// Section returns the commands of a section of the recipe's README.
func Section(t testing.TB, heading string) string {
	t.Helper()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands strings.Builder
	inSection, inBlock := false, false
	for line := range strings.Lines(string(page)) {
		text := strings.TrimRight(line, "\n")
		switch {
		case !inBlock && strings.HasPrefix(text, "## "):
			inSection = text == "## "+heading
		case inSection && !inBlock && text == "```sh":
			inBlock = true
		case inBlock && text == "```":
			inBlock = false
		case inBlock:
			commands.WriteString(line)
		}
	}
	if commands.Len() == 0 {
		t.Fatalf("README.md has no commands in a section %q", heading)
	}
	return commands.String()
}

// Shell runs commands as an operator types them, in the workplace.
func Shell(t testing.TB, commands string) string {
	t.Helper()
	workplace(t)
	cmd := commandIn(Workplace, "bash", "-e", "-x", "-c", commands)
	return finish(t, cmd, commands)
}

// finish waits for a command, but not for what it leaves in the background.
func finish(t testing.TB, cmd *exec.Cmd, what string) string {
	t.Helper()
	out, err := os.CreateTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	start := time.Now()
	runErr := cmd.Run()
	printed, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.2f s:\n%s", time.Since(start).Seconds(), printed)
	if runErr != nil {
		t.Fatalf("%v:\n%s", runErr, what)
	}
	return string(printed)
}

func workplace(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(Workplace); err == nil {
		return
	}
	if err := os.CopyFS(Workplace, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	Copy(t, Server, filepath.Join(Workplace, "server"))
}
