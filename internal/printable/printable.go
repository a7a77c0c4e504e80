// Package printable makes texts of others harmless: what a process calls itself, or writes,
// must do nothing to the terminal of an operator, who may be root.
package printable

import (
	"strings"
	"unicode"
)

// Of returns the text with a mark (U+FFFD) in place of each rune that has no shape: controls,
// line feeds and tabs among them.
func Of(text string) string { return strings.Map(shown, text) }

func shown(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}
