package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const manHelp = `Write the manual pages into DIR, which is made if it is not there: server.1, and one for
each verb, server-serve.1 and so on. They say what --help says.`

const manExample = `  server man /usr/local/share/man/man1
  server man pages && man -l pages/server-retire.1`

func newMan(env env) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages",
		Long:    manHelp,
		Example: manExample,
		Args:    oneArg("directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return writePages(args[0], cmd.Root(), dateOf(buildVersion(), env.getenv))
		},
	}
}

// dateOf is when the pages were true. The same build has the same pages, where it knows
// its revision or is told (reproducible-builds.org, SOURCE_DATE_EPOCH).
func dateOf(b build, getenv func(string) string) time.Time {
	if seconds, err := strconv.ParseInt(getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC()
	}
	if at, err := time.Parse(time.RFC3339, b.Time); err == nil {
		return at.UTC()
	}
	return time.Now().UTC()
}

func writePages(dir string, cmd *cobra.Command, date time.Time) error {
	if cmd.IsAvailableCommand() || !cmd.HasParent() {
		text := manualPage(cmd, date)
		if err := os.WriteFile(filepath.Join(dir, pageName(cmd)+".1"), text, 0o644); err != nil {
			return err
		}
		for _, verb := range cmd.Commands() {
			if err := writePages(dir, verb, date); err != nil {
				return err
			}
		}
	}
	return nil
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// page is a manual page in the language of man(7).
type page struct{ bytes.Buffer }

// manualPage writes the help of a verb as a page. Cobra's own generator makes Markdown
// of it first, which runs our tables together.
func manualPage(cmd *cobra.Command, date time.Time) []byte {
	p := &page{}
	fmt.Fprintf(p, ".TH %s 1 %s %q %q\n", strings.ToUpper(pageName(cmd)), date.Format(time.DateOnly), cmd.Root().Name()+" "+buildVersion().Version, "User Commands")
	io.WriteString(p, ".nh\n.ad l\n") // flags are not to be torn apart, nor pulled
	p.section("NAME")
	p.line(pageName(cmd) + " - " + cmd.Short)
	p.section("SYNOPSIS")
	p.bold(synopsis(cmd))
	p.section("DESCRIPTION")
	p.prose(cmd.Long)
	p.verbs(cmd)
	p.section("OPTIONS")
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	p.flags(cmd.NonInheritedFlags())
	if cmd.Example != "" {
		p.section("EXAMPLES")
		p.verbatim(strings.Split(cmd.Example, "\n"))
	}
	p.seeAlso(cmd)
	return p.Bytes()
}

func synopsis(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " VERB [flags]"
	}
	return cmd.UseLine()
}

func (p *page) section(name string) { fmt.Fprintf(p, ".SH %s\n", name) }

// line writes one line of text, or none where there is nothing: an empty one would be a
// paragraph.
func (p *page) line(text string) {
	if text = strings.TrimSpace(text); text != "" {
		io.WriteString(p, roff(text)+"\n")
	}
}

func (p *page) bold(text string) { io.WriteString(p, "\\fB"+roff(text)+"\\fR\n") }

// roff writes a text so that it comes out as it is: man(7) and groff_char(7).
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// prose writes a help text: what is not indented flows, what is indented is a list if it
// has columns, and else stays as it is.
func (p *page) prose(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		lines := strings.Split(paragraph, "\n")
		for len(lines) > 0 {
			n := leading(lines, isIndented(lines[0]))
			p.block(lines[:n])
			lines = lines[n:]
		}
	}
}

func isIndented(line string) bool { return strings.HasPrefix(line, "  ") }

// leading counts the lines that begin a text and are indented, or are not.
func leading(lines []string, indented bool) int {
	for i, line := range lines {
		if isIndented(line) != indented {
			return i
		}
	}
	return len(lines)
}

func (p *page) block(lines []string) {
	rows, isList := columns(lines)
	switch {
	case !isIndented(lines[0]):
		p.paragraph()
		for _, line := range lines {
			p.line(line)
		}
	case isList:
		p.table(rows)
	default:
		p.verbatim(lines)
	}
}

// paragraph begins one, but for the first of a section.
func (p *page) paragraph() {
	written := bytes.Split(bytes.TrimSpace(p.Bytes()), []byte("\n"))
	if !bytes.HasPrefix(written[len(written)-1], []byte(".SH")) {
		io.WriteString(p, ".PP\n")
	}
}

// table is a list without space between, whose second column begins behind the longest
// word of the first.
func (p *page) table(rows [][2]string) {
	width := 0
	for _, row := range rows {
		width = max(width, len(row[0])+2)
	}
	p.paragraph()
	io.WriteString(p, ".PD 0\n")
	for _, row := range rows {
		fmt.Fprintf(p, ".TP %d\n", width)
		p.bold(row[0])
		p.line(row[1])
	}
	io.WriteString(p, ".PD\n")
}

func (p *page) item(tag, text string) {
	fmt.Fprintf(p, ".TP\n%s\n", tag)
	p.line(text)
}

// gap is between columns. The last one counts: "GET  /path  what it does".
var gap = regexp.MustCompile(`^  (\S.*\S|\S) {2,}(\S.*)$`)

// columns reads lines as a list, in which what is indented further goes on with the line
// before.
func columns(lines []string) (rows [][2]string, isList bool) {
	for _, line := range lines {
		m := gap.FindStringSubmatch(line)
		switch {
		case m != nil:
			rows = append(rows, [2]string{m[1], m[2]})
		case len(rows) > 0 && strings.HasPrefix(line, "   "):
			rows[len(rows)-1][1] += " " + strings.TrimSpace(line)
		default:
			return nil, false
		}
	}
	return rows, true
}

func (p *page) verbatim(lines []string) {
	p.paragraph()
	io.WriteString(p, ".RS 2\n.nf\n")
	for _, line := range lines {
		io.WriteString(p, roff(strings.TrimPrefix(line, "  "))+"\n")
	}
	io.WriteString(p, ".fi\n.RE\n")
}

func (p *page) verbs(cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	p.section("VERBS")
	var rows [][2]string
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() {
			rows = append(rows, [2]string{verb.Name(), verb.Short})
		}
	}
	p.table(rows)
}

func (p *page) flags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		word, usage := pflag.UnquoteUsage(f)
		tag := `\fB` + roff("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			tag = `\fB` + roff("-"+f.Shorthand) + `\fR, ` + tag
		}
		if word != "" {
			tag += ` \fI` + roff(word) + `\fR`
		}
		if d := f.DefValue; d != "" && d != "false" && d != "[]" && d != "0" {
			usage += fmt.Sprintf(" (default %s)", d)
		}
		p.item(tag, usage)
	})
}

func (p *page) seeAlso(cmd *cobra.Command) {
	var pages []string
	for _, other := range append(cmd.Commands(), kin(cmd)...) {
		if other != cmd && (other.IsAvailableCommand() || !other.HasParent()) {
			pages = append(pages, fmt.Sprintf(`\fB%s\fR(1)`, roff(pageName(other))))
		}
	}
	p.section("SEE ALSO")
	io.WriteString(p, strings.Join(pages, ",\n")+"\n")
}

// kin is the parent of a verb and its other verbs.
func kin(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasParent() {
		return nil
	}
	return append([]*cobra.Command{cmd.Parent()}, cmd.Parent().Commands()...)
}
