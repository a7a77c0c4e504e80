package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/page"
	"github.com/ba995850/overlap/bench/internal/report"
)

const againHelp = `Report makes the reports of runs that --raw has kept, as often as you like.

  go run ./bench --scenario h2,nginx --raw run.gz    make the runs
  go run ./bench report run.gz                       the text that the runs ended with
  go run ./bench report run.gz plain.gz --html report.html
                                                     a page to look at, of both files
  go run ./bench report run.gz --svg docs            its pictures as files, light and dark
  go run ./bench report run.gz --benchfmt >new       for benchstat
  go run ./bench report peers.gz --markdown          the table of --peers, for a README
  go run ./bench report run.gz --json                an object for each run

A file is lines of JSON under gzip, one for each request: zcat run.gz | head. bench/README.md
says what is in them.

Exit code: 0 the report was made, whatever it says; 1 it could not be made; 2 usage.

`

// again is what the flags of "bench report" say.
type again struct {
	files                    []string
	html, svg                string
	benchfmt, json, markdown bool
}

func againFlags(a *again) *flag.FlagSet {
	fs := flag.NewFlagSet("bench report", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // reportAgain says what is wrong, in one line
	fs.StringVar(&a.html, "html", "", "write a page to this `file`, which needs nothing else")
	fs.StringVar(&a.svg, "svg", "", "write pictures to this `directory`")
	fs.BoolVar(&a.benchfmt, "benchfmt", false, "Go's benchmark format on stdout instead of the text")
	fs.BoolVar(&a.json, "json", false, "JSON on stdout instead of the text")
	fs.BoolVar(&a.markdown, "markdown", false, "the table of --peers on stdout instead of the text, for a README")
	return fs
}

// parseAgain reads flags and files in whatever order.
func parseAgain(args []string) (a again, err error) {
	fs := againFlags(&a)
	for err = fs.Parse(args); err == nil && fs.NArg() > 0; err = fs.Parse(fs.Args()[1:]) {
		a.files = append(a.files, fs.Arg(0))
	}
	switch {
	case err != nil:
		return a, err
	case len(a.files) == 0:
		return a, errors.New("name a file that --raw has written")
	case a.benchfmt && a.json, a.benchfmt && a.markdown, a.json && a.markdown:
		return a, errors.New("read the flags: of --benchfmt, --json and --markdown only one can have stdout")
	}
	return a, nil
}

// reportAgain is the verb: reports from files.
func reportAgain(env env, args []string) int {
	a, err := parseAgain(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printAgainHelp(env.stdout)
		return exitLossless
	case err != nil:
		fmt.Fprintf(env.stderr, "bench report: %v (see --help)\n", err)
		return exitUsage
	}
	if err := a.make(env.stdout); err != nil {
		fmt.Fprintf(env.stderr, "bench report: %v\n", err)
		return exitLost
	}
	return exitLossless
}

func printAgainHelp(w io.Writer) {
	fmt.Fprint(w, againHelp, "Flags:\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	againFlags(new(again)).VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(table, "  --%s %s\t%s\n", f.Name, value, usage)
	})
	table.Flush()
}

func (a again) make(stdout io.Writer) error {
	var files []evidence.File
	for _, name := range a.files {
		file, err := evidence.ReadFile(name)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	if err := a.show(files); err != nil {
		return err
	}
	if a.benchfmt {
		return report.Benchmarks(stdout, files)
	}
	if a.markdown {
		return report.Markdown(stdout, files)
	}
	return a.print(stdout, files)
}

// print writes a report for each run, as the runs themselves did.
func (a again) print(w io.Writer, files []evidence.File) error {
	var reports []report.Report
	for _, f := range files {
		for _, run := range f.Runs {
			if a.json {
				if err := printJSON(w, report.Of(run)); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(w, "%s\n", run.What)
			reports = append(reports, report.Of(run))
			report.Print(w, reports[len(reports)-1])
		}
	}
	report.Compare(reports).Print(w)
	return nil
}

// show makes what is to be looked at.
func (a again) show(files []evidence.File) error {
	if a.html != "" {
		var text bytes.Buffer
		if err := page.Write(&text, files); err != nil {
			return err
		}
		if err := os.WriteFile(a.html, text.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write a page: %w", err)
		}
	}
	if a.svg == "" {
		return nil
	}
	if err := os.MkdirAll(a.svg, 0o755); err != nil {
		return fmt.Errorf("write pictures: %w", err)
	}
	for _, p := range page.Pictures(files) {
		if err := os.WriteFile(filepath.Join(a.svg, p.Name), []byte(p.Text), 0o644); err != nil {
			return fmt.Errorf("write a picture: %w", err)
		}
	}
	return nil
}
