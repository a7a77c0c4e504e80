package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ba995850/overlap/internal/control"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const completionHelp = `Print a script that lets a shell complete what is typed behind "server": verbs, flags,
the words that a flag takes, and, where an instance is meant, the releases and process
ids of those that run now. Examples say where each shell wants it.`

const completionExample = `  # bash, with the package bash-completion: for this shell, or for good
  source <(server completion bash)
  server completion bash > ~/.local/share/bash-completion/completions/server

  # zsh: into a directory that is in $fpath
  server completion zsh > "${fpath[1]}/_server"

  # fish
  server completion fish > ~/.config/fish/completions/server.fish

  # PowerShell
  server completion powershell | Out-String | Invoke-Expression`

// shells are those that cobra can write a script for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:       "completion " + strings.Join(shells, "|"),
		Short:     "Print a script by which a shell completes verbs, flags and releases",
		Long:      completionHelp,
		Example:   completionExample,
		ValidArgs: shells,
		Args:      oneArg("shell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usageError{fmt.Errorf("%q is none of %s%s; see server completion --help",
				args[0], strings.Join(shells, ", "), didYouMean(args[0], shells))}
		},
	}
}

// completeVerbs says for each verb what may follow it. A shell offers files where nothing
// is said, which is right only for files.
func completeVerbs(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		completeVerbs(cmd)
		if cmd.ValidArgs == nil {
			cmd.ValidArgsFunction = argsOf(cmd)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, valuesOf(cmd, f)) // it has the flag, and once
		})
	}
}

// argsOf goes by the line that --help shows.
func argsOf(cmd *cobra.Command) cobra.CompletionFunc {
	_, args, _ := strings.Cut(cmd.Use, " ")
	switch {
	case strings.Contains(args, "RELEASE"):
		return completeReleases
	case strings.Contains(args, "DIR"):
		return onlyFolders
	case args != "":
		return anyFile
	}
	return cobra.NoFileCompletions
}

func onlyFolders(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func anyFile(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// valuesOf goes by the kind of a flag, and by the word for its value in --help. A verb
// with --pid means instances that run; the --release of serve is a new one.
func valuesOf(cmd *cobra.Command, f *pflag.Flag) cobra.CompletionFunc {
	word, _ := pflag.UnquoteUsage(f)
	c, isChoice := f.Value.(*choice)
	switch {
	case isChoice:
		return cobra.FixedCompletions(c.words, cobra.ShellCompDirectiveNoFileComp)
	case word == "file":
		return anyFile
	case cmd.Flags().Lookup("pid") == nil:
		return cobra.NoFileCompletions
	case f.Name == "pid":
		return completePIDs
	case word == "release":
		return completeReleases
	}
	return cobra.NoFileCompletions
}

// completeTimeout is how long somebody waits who has pressed a key.
const completeTimeout = 300 * time.Millisecond

// running are the instances that answer in time. Errors have no place behind a key.
func running(cmd *cobra.Command) []control.Found {
	all, _ := control.Find(cmd.Context(), completeTimeout)
	return slices.DeleteFunc(all, func(f control.Found) bool { return f.Err != nil })
}

func completeReleases(cmd *cobra.Command, before []string, _ string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, f := range running(cmd) {
		if f.Release != "" && !slices.Contains(before, f.Release) {
			all = append(all, cobra.CompletionWithDesc(f.Release, fmt.Sprintf("%s on %s", f.State, f.Addr)))
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

func completePIDs(cmd *cobra.Command, _ []string, _ string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, f := range running(cmd) {
		all = append(all, cobra.CompletionWithDesc(strconv.Itoa(f.PID), fmt.Sprintf("%s, %s on %s", f.Release, f.State, f.Addr)))
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}
