package page

import (
	"fmt"
	"strings"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

// signed adds where a picture comes from. As a file it has no page around it that says so.
func (p picture) signed(h evidence.Header) picture {
	var c canvas
	for _, text := range []string{command(h), origins(h)} {
		for _, line := range broken(text, p.width-leftEdge-rightEdge) {
			p.height += 14
			c.text("tick", leftEdge, p.height, line)
		}
	}
	p.body += c.String()
	p.height += 8
	return p
}

// origins says when and where, as far as it is known.
func origins(h evidence.Header) string {
	m := h.Machine
	parts := []string{h.Began.UTC().Format("2 January 2006")}
	if m.Commit != "" {
		parts = append(parts, "commit "+m.Commit)
	}
	if m.Kernel != "" {
		parts = append(parts, "Linux "+m.Kernel)
	}
	cpu := fmt.Sprintf("%d CPUs", m.CPUs)
	if m.CPU != "" {
		cpu += " " + m.CPU
	}
	return strings.Join(append(parts, cpu, m.Go), " · ")
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
