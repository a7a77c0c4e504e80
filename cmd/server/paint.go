package main

import (
	"io"
	"strings"

	"github.com/ba995850/overlap"
)

// painter marks the states in a table.
type painter struct {
	from, to int // the columns of the state, of which the header tells
}

// colourOf is the colour of a state; ECMA-48, SGR.
func colourOf(state string) string {
	for begin, colour := range map[string]string{
		overlap.StateServing.String():  "32", // green
		overlap.StateRetiring.String(): "33", // yellow
		overlap.StateStarting.String(): "36", // cyan
		overlap.StateDark.String():     "36",
		overlap.StateDrained.String():  "2",  // faint
		noAnswer:                       "31", // red
		stateStranger:                  "31",
	} {
		if strings.HasPrefix(state, begin) {
			return colour
		}
	}
	return ""
}

// paintsOn says whether a place is one for colours; no-color.org.
func paintsOn(w io.Writer, getenv func(string) string) bool {
	return isTerminal(w) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// newPainter reads the header of a table.
func newPainter(header string) painter {
	return painter{strings.Index(header, "STATE"), strings.Index(header, "ROTATION")}
}

// paint returns a line of the table with its state marked.
func (p painter) paint(line string) string {
	runes := []rune(line)
	if len(runes) <= p.from {
		return line
	}
	end := min(p.to, len(runes))
	state := string(runes[p.from:end])
	colour := colourOf(state)
	if colour == "" {
		return line
	}
	return string(runes[:p.from]) + "\x1b[" + colour + "m" + state + "\x1b[0m" + string(runes[end:])
}

func plain(line string) string { return line }
