package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// program is what the help texts call it.
const program = "server"

// rename lets them call it what it was called: a package may have it under a name that is
// not everybody's, and an example is there to be typed.
func rename(root *cobra.Command) {
	if root.Name() == program {
		return
	}
	typed := regexp.MustCompile(`\b` + program + `( (?:` + strings.Join(verbs(root), "|") + `)\b|")`)
	texts(root, func(text *string) { *text = typed.ReplaceAllString(*text, root.Name()+"$1") })
}

// texts calls do for all that --help prints of a verb and of those below it.
func texts(cmd *cobra.Command, do func(text *string)) {
	do(&cmd.Long)
	do(&cmd.Example)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { do(&f.Usage) })
	for _, verb := range cmd.Commands() {
		texts(verb, do)
	}
}
