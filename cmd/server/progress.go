package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// progress tells how long work goes: on a terminal in one line that changes, elsewhere in a
// line for each step.
type progress struct {
	mu   sync.Mutex
	w    io.Writer
	live bool
}

func newProgress(w io.Writer) *progress { return &progress{w: w, live: isTerminal(w)} }

// eraseLine is CSI K of ECMA-48, at the beginning of the line.
const eraseLine = "\r\x1b[K"

// say writes a line that stays.
func (p *progress) say(format string, args ...any) {
	p.write(eraseLine, "\n", format, args)
}

// show writes a step.
func (p *progress) show(format string, args ...any) {
	p.write(eraseLine, "", format, args)
}

// tick is a change within a step, which only a terminal shows.
func (p *progress) tick(format string, args ...any) {
	if p.live {
		p.write(eraseLine, "", format, args)
	}
}

// Write writes lines that stay.
func (p *progress) Write(lines []byte) (int, error) {
	p.say("%s", bytes.TrimSuffix(lines, []byte("\n")))
	return len(lines), nil
}

// end leaves the line to others.
func (p *progress) end() {
	if p.live {
		fmt.Fprint(p.w, eraseLine)
	}
}

func (p *progress) write(before, after, format string, args []any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.live {
		before, after = "", "\n"
	}
	fmt.Fprint(p.w, before+fmt.Sprintf(format, args...)+after)
}
