package main

import (
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// What a terminal is told; ECMA-48, and DEC's private modes.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l" // the other buffer, no cursor, no line wraps
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	goHome      = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// screen is a terminal that is drawn on in place. What it showed before comes back at the
// end.
type screen struct {
	out     io.Writer
	fd      int
	resized chan os.Signal
}

// openScreen takes over the terminal that out is.
func openScreen(out io.Writer) *screen {
	s := &screen{out: out, fd: int(out.(interface{ Fd() uintptr }).Fd()), resized: make(chan os.Signal, 1)}
	signal.Notify(s.resized, winch)
	io.WriteString(out, enterScreen)
	return s
}

func (s *screen) close() {
	signal.Stop(s.resized)
	io.WriteString(s.out, leaveScreen)
}

// draw shows as much of the lines as there is room for. All is written at once, so that
// nothing flickers.
func (s *screen) draw(lines []string, paint func(string) string) error {
	width, height, err := term.GetSize(s.fd)
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24 // as a terminal that does not say
	}
	var all strings.Builder
	all.WriteString(goHome)
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			all.WriteString("\r\n")
		}
		all.WriteString(paint(fit(line, width)) + clearLine)
	}
	all.WriteString(clearBelow)
	_, err = io.WriteString(s.out, all.String())
	return err
}

// fit returns as much of a line as fits. What is wider than a rune is cut by the terminal.
func fit(line string, width int) string {
	runes := []rune(strings.TrimRight(line, " "))
	return string(runes[:min(len(runes), width)])
}
