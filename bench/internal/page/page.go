// Package page makes a page to look at of what runs brought to light, and its pictures
// as files. It needs nothing but the evidence, and the page nothing but itself.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// Write writes the page of all runs in the files.
func Write(w io.Writer, files []evidence.File) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"grouped": grouped, "took": took,
		"gigabytes": func(bytes int64) int64 { return (bytes + 1<<29) >> 30 },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	if err := t.Execute(w, newView(files)); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// figure is a picture in two widths, of which the reader's screen picks one.
type figure struct{ Wide, Narrow template.HTML }

const (
	wide, narrow = 960, 358
)

func figureOf(draw func(width px) picture) figure {
	return figure{draw(wide).inline(), draw(narrow).inline()}
}

// inline returns the picture as a part of the page, whose style it takes.
func (p picture) inline() template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %v %v" class="chart" role="img" aria-label="%s">%s</svg>`,
		p.width, p.height, template.HTMLEscapeString(p.alt), p.body))
}
