package page

import (
	"strings"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// signed adds where a picture comes from. As a file it has no page around it that says so.
func (p picture) signed(h evidence.Header) picture {
	var c canvas
	for _, text := range []string{h.Shell(), h.Origin()} {
		for _, line := range broken(text, p.width-leftEdge-rightEdge) {
			p.height += 14
			c.text("tick", leftEdge, p.height, line)
		}
	}
	p.body += c.String()
	p.height += 8
	return p
}

// broken breaks a text into lines that have room.
func broken(text string, room px) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && widthOf(line+" "+word) > room {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
