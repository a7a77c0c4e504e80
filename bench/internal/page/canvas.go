package page

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// canvas collects the elements of an SVG picture. What they look like is in chart.css:
// here is only where they are.
type canvas struct {
	b     strings.Builder
	front strings.Builder // texts that lie on all else
}

// px is a length or a place, in pixels. A tenth of one is as fine as eyes are.
type px float64

func (p px) String() string {
	return strings.TrimSuffix(strconv.FormatFloat(float64(p), 'f', 1, 64), ".0")
}

func (c *canvas) line(class string, x1, y1, x2, y2 px) {
	fmt.Fprintf(&c.b, `<path class="%s" d="M%v %vL%v %v"/>`, class, x1, y1, x2, y2)
}

func (c *canvas) path(class, d string) {
	if d != "" {
		fmt.Fprintf(&c.b, `<path class="%s" d="%s"/>`, class, d)
	}
}

// explained is a path with a text that shows when it is pointed at.
func (c *canvas) explained(class, d, text string) {
	if d != "" {
		fmt.Fprintf(&c.b, `<path class="%s" d="%s"><title>%s</title></path>`, class, d, html.EscapeString(text))
	}
}

func (c *canvas) text(class string, x, y px, text string) {
	fmt.Fprintf(&c.b, `<text class="%s" x="%v" y="%v">%s</text>`, class, x, y, html.EscapeString(text))
}

// onTop is a text that nothing crosses.
func (c *canvas) onTop(class string, x, y px, text string) {
	fmt.Fprintf(&c.front, `<text class="halo %s" x="%v" y="%v">%s</text>`, class, x, y, html.EscapeString(text))
}

func (c *canvas) String() string { return c.b.String() + c.front.String() }

// letter is about how wide one is, in the size of chart.css. Nobody can measure a text
// before a browser shows it.
const letter = px(6.5)

func widthOf(text string) px { return px(len([]rune(text))) * letter }

// picture is a drawing of a certain size, with its meaning in words.
type picture struct {
	width, height px
	body          string
	alt           string
}
