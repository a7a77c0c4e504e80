package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Broken on purpose, and seen red: the texts of flags, and those of verbs of verbs, stay as
// they are; the name is that of the source.

// callAs is call by another name than that of the source.
func callAs(name string, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(env{name: name, stdout: &stdout, stderr: &stderr, getenv: vars{}.get}, args)
	return result{code, stdout.String(), stderr.String()}
}

func TestExamplesAreTypedAsTheProgramWasCalled(t *testing.T) {
	root := newRoot(env{getenv: vars{}.get})
	source := regexp.MustCompile(`\bserver (` + strings.Join(verbs(root), "|") + `)\b`)
	var all func(cmd *cobra.Command)
	all = func(cmd *cobra.Command) {
		help := callAs("overlap", append(strings.Fields(cmd.CommandPath())[1:], "--help")...).stdout
		contains(t, help, strings.Replace(cmd.CommandPath(), "server", "overlap", 1))
		if left := source.FindString(help); left != "" {
			t.Errorf("%q is left in:\n%s", left, help)
		}
		for _, verb := range cmd.Commands() {
			if verb.IsAvailableCommand() {
				all(verb)
			}
		}
	}
	all(root)
	contains(t, callAs("overlap", "ticket-keys", "rotate", "--help").stdout, "\n  overlap ticket-keys rotate ")
	contains(t, callAs("overlap", "retire", "--explode").stderr, "overlap: ", "see overlap retire --help")
	contains(t, callAs("overlap", "version", "now").stderr, "see overlap version --help")
	contains(t, callAs("overlap", "completion", "bash").stdout, "complete -o default -F __start_overlap overlap")
}
