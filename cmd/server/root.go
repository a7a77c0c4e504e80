package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// env is all that the program takes from the process around it.
type env struct {
	name           string // that it was called by; "server" if empty
	stdout, stderr io.Writer
	getenv         func(string) string
}

// run is the program. It returns the exit code.
func run(env env, args []string) int {
	root := newRoot(env)
	root.SetArgs(args)
	err := root.Execute()
	if err != nil && !is[toldError](err) {
		fmt.Fprintln(env.stderr, root.Name()+":", err)
	}
	return exitCode(err)
}

func newRoot(env env) *cobra.Command {
	root := &cobra.Command{
		Use:           cmp.Or(env.name, program),
		Short:         "A web service that gives way to its next release without losing a request",
		Long:          chapters(rootHelp, exitHelp()),
		Example:       takeover,
		Version:       buildVersion().Version,
		Args:          cobra.ArbitraryArgs,
		RunE:          noVerb,
		SilenceErrors: true, // run prints them, once
		SilenceUsage:  true, // a page of flags would hide the error
	}
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetFlagErrorFunc(badFlag)
	root.AddCommand(newServe(env), newStatus(env), newUpgrade(), newRetire(), newPin(), newUnpin(), newProbe(), newMetricsVerb(), newTicketKeys(), newVersion())
	root.AddCommand(newDoctor(env), newConfig(env), newCompletion(), newMan(env))
	root.InitDefaultHelpCmd()
	completeVerbs(root)
	rename(root)
	return root
}

// noVerb is what remains when no command has the name that was given.
func noVerb(parent *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Errorf("name a verb: %s; see %s --help", strings.Join(verbs(parent), ", "), parent.CommandPath())}
	}
	hint := didYouMean(args[0], verbs(parent))
	return usageError{fmt.Errorf("unknown verb %q%s; see %s --help", args[0], hint, parent.CommandPath())}
}

func verbs(parent *cobra.Command) (names []string) {
	for _, cmd := range parent.Commands() {
		if cmd.IsAvailableCommand() {
			names = append(names, cmd.Name())
		}
	}
	return names
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%s takes no arguments, but was given %s; see %s --help", verbOf(cmd), orNone(args), cmd.CommandPath())}
}

// oneArg wants one argument, which is a name for it.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usageError{fmt.Errorf("%s takes one %s, but was given %s; see %s --help", verbOf(cmd), name, orNone(args), cmd.CommandPath())}
	}
}

// verbOf is what was typed behind the program's name.
func verbOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

func orNone(args []string) string {
	if len(args) == 0 {
		return "none"
	}
	return fmt.Sprintf("%q", strings.Join(args, " "))
}

func badFlag(cmd *cobra.Command, err error) error {
	hint := ""
	if unknown := new(pflag.NotExistError); errors.As(err, &unknown) {
		hint = didYouMean("--"+unknown.GetSpecifiedName(), dashed(flagNames(cmd.Flags())))
	}
	return usageError{fmt.Errorf("%w%s; see %s --help", err, hint, cmd.CommandPath())}
}

func flagNames(flags *pflag.FlagSet) (names []string) {
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

func dashed(names []string) []string {
	for i, name := range names {
		names[i] = "--" + name
	}
	return names
}
