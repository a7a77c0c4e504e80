package page

import (
	_ "embed"
	"fmt"
	"html"
	"strings"
)

// palette is how many colours releases have. Neighbours differ in lightness as well as
// in hue, so that they are told apart in grey, too, and each has its name on it.
const palette = 4

// color is one of a theme, by the name that the style sheets use.
type color struct{ name, light, dark string }

var colors = [...]color{
	{"paper", "#ffffff", "#0d1117"},
	{"card", "#f6f7f9", "#161b22"},
	{"ink", "#1b2330", "#e6eaf0"},
	{"muted", "#5a6473", "#9aa5b4"},
	{"rule", "#dfe3e8", "#2b323c"},
	{"good", "#14694f", "#5cc9a3"},
	{"bad", "#c2183a", "#ff6b7d"},
	{"r0", "#2f6190", "#5d9bd3"},
	{"r1", "#a3c6e6", "#27486a"},
	{"r2", "#20766b", "#45aa9b"},
	{"r3", "#a5d8cb", "#1d5048"},
	{"on0", "#ffffff", "#0d1117"},
	{"on1", "#17324d", "#d5e6f7"},
	{"on2", "#ffffff", "#0d1117"},
	{"on3", "#123f38", "#d3f2ea"},
}

//go:embed chart.css
var chartStyle string

// variables are the colours as custom properties, which follow the reader's preference.
func variables() string {
	var light, dark strings.Builder
	for _, c := range colors {
		fmt.Fprintf(&light, "--%s:%s;", c.name, c.light)
		fmt.Fprintf(&dark, "--%s:%s;", c.name, c.dark)
	}
	return fmt.Sprintf(":root{color-scheme:light dark;%s}\n@media (prefers-color-scheme:dark){:root{%s}}\n", &light, &dark)
}

// settled is the style of charts with the colours of one theme put in: what shows a
// file for itself may know no custom properties.
func settled(dark bool) string {
	var pairs []string
	for _, c := range colors {
		value := c.light
		if dark {
			value = c.dark
		}
		pairs = append(pairs, "var(--"+c.name+")", value)
	}
	return strings.NewReplacer(pairs...).Replace(chartStyle)
}

// file returns the picture as an SVG file of one theme. Its background is that of the
// page around it.
func (p picture) file(dark bool) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %v %v" width="%v" height="%v" class="chart" role="img">`+
		"<title>%s</title><style>%s</style>%s</svg>\n", p.width, p.height, p.width, p.height, html.EscapeString(p.alt), settled(dark), p.body)
}
