package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const configHelp = `Print what "server serve" would be configured with by these flags, this environment and
this file, and where each value comes from. Nothing is started.

FROM is "default", "flag", "env" or "file" and which; "fitted to drain-timeout" is a
part that is shorter than its default, because the whole is. Of certificates and keys
the paths are shown, not what is in them.

A configuration that serve would refuse is refused here, too, with exit code 78:
unknown keys, bad values, values that contradict each other. Whether the files that it
names can be used, "server doctor" says.`

const configExample = `  server config --config app.yaml
  server config --drain-timeout 5s | grep fitted
  OVERLAP_ADDR=:9000 server config --yaml > app.yaml
  server config --json | jq -r '.[] | select(.from != "default") | .key'`

// addConfigFlags gives a verb the flags that serve is configured with.
func addConfigFlags(cmd *cobra.Command, flags *pflag.FlagSet, file *string) {
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(flags)
	cmd.Flags().StringVar(file, "config", "", "read keys from this `file`, .yaml or .toml (env OVERLAP_CONFIG)")
}

func newConfig(env env) *cobra.Command {
	var (
		cfg            config
		file           string
		asJSON, asYAML bool
		flags          = cfg.flags()
	)
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Print the configuration, and where each value comes from",
		Long:    chapters(configHelp, precedence),
		Example: configExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && asYAML {
				return usageError{errors.New("--json or --yaml, not both; see server config --help")}
			}
			if err := cfg.load(flags, file, env.getenv); err != nil {
				return configError{err}
			}
			return printSettings(cmd.OutOrStdout(), cfg.settings(flags), asJSON, asYAML)
		},
	}
	addConfigFlags(cmd, flags, &file)
	cmd.Flags().BoolVar(&asJSON, "json", false, "an array of objects")
	cmd.Flags().BoolVar(&asYAML, "yaml", false, "a file for --config, in which what nobody has set is a comment")
	return cmd
}

// setting is one key of the configuration.
type setting struct {
	Key   string `json:"key"`
	Value any    `json:"value"` // a list, true or false, or text
	From  string `json:"from"`
}

// settings are all keys, in the order of --help.
func (c *config) settings(flags *pflag.FlagSet) (all []setting) {
	flags.VisitAll(func(f *pflag.Flag) {
		all = append(all, setting{Key: f.Name, Value: valueOf(f), From: c.from(f.Name)})
	})
	return all
}

func valueOf(f *pflag.Flag) any {
	if l, isList := f.Value.(*list); isList {
		return *l.values
	}
	if f.Value.Type() == "bool" {
		return f.Value.String() == "true"
	}
	return f.Value.String()
}

// isSet says whether somebody has said so.
func (s setting) isSet() bool { return s.From != unset && s.From != fitted }

func printSettings(w io.Writer, all []setting, asJSON, asYAML bool) error {
	switch {
	case asJSON:
		return json.NewEncoder(w).Encode(all)
	case asYAML:
		return printYAML(w, all)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tVALUE\tFROM")
	for _, s := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Key, s.text(), s.From)
	}
	return t.Flush()
}

func (s setting) text() string {
	if parts, isList := s.Value.([]string); isList {
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(s.Value)
}

// printYAML leaves a default a default: the next release may have a better one. JSON is
// YAML, too, and needs no library.
func printYAML(w io.Writer, all []setting) error {
	for _, s := range all {
		value, err := json.Marshal(s.Value)
		if err != nil {
			return err
		}
		mark := ""
		if !s.isSet() {
			mark = "# "
		}
		if _, err := fmt.Fprintf(w, "%s%s: %s # %s\n", mark, s.Key, value, s.From); err != nil {
			return err
		}
	}
	return nil
}
