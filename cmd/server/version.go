package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by `go build -ldflags "-X main.version=v1.2.3"`, and wins over
// what Go knows of the build.
var version string

const versionHelp = `Print which build this is.

The version is what it was built with,
  go build -ldflags "-X main.version=v1.2.3" -o server ./cmd/server
or else what Go found in the repository. It is also the default of
"server serve --release".`

// build is what is known about the build of this program.
type build struct {
	Version  string `json:"version"` // "dev" if nobody knows
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`     // of the revision
	Modified bool   `json:"modified,omitempty"` // the tree had changes that the revision has not
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print which build this is",
		Long:    versionHelp,
		Example: "  server version\n  server version --json | jq -r .version",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return buildVersion().print(cmd.OutOrStdout(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

func buildVersion() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return newBuild(version, info)
}

func newBuild(linked string, info *debug.BuildInfo) build {
	b := build{
		Version:  cmp.Or(linked, info.Main.Version),
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "dev"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(b)
	}
	_, err := fmt.Fprintln(w, b)
	return err
}

func (b build) String() string {
	text := fmt.Sprintf("server %s %s %s", b.Version, b.Go, b.Platform)
	if b.Revision == "" {
		return text
	}
	if b.Modified {
		b.Revision += " with changes"
	}
	return fmt.Sprintf("%s (revision %s)", text, b.Revision)
}
