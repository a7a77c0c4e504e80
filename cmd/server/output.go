package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ba995850/overlap/internal/printable"
)

// output is where a program writes that outlives us.
type output struct {
	*os.File
	from int64 // what was there before is not its
}

// openOutput opens a file at its end. Where none is named, it is a new one.
func openOutput(name, program string, now time.Time) (*output, error) {
	if name == "" {
		dir, err := stateDir()
		if err != nil {
			return nil, fmt.Errorf("choose a log file: %w; name one by --log", err)
		}
		name = filepath.Join(dir, filepath.Base(program)+"-"+now.Format("20060102T150405.000")+".log")
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	o := &output{File: file}
	if info, err := file.Stat(); err == nil {
		o.from = info.Size()
	}
	return o, nil
}

// stateDir is where programs keep what is to outlive them; XDG Base Directory Specification.
func stateDir() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".local", "state")
	}
	dir = filepath.Join(dir, "overlap")
	return dir, os.MkdirAll(dir, 0o700)
}

// lastLines is the end of what was written, as a terminal may see it. What is no file, such
// as a terminal or a pipe, cannot be read again.
func (o *output) lastLines() string {
	const most = 4 << 10
	if info, err := o.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	file, err := os.Open(o.Name())
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		_, _ = file.Seek(max(o.from, info.Size()-most), io.SeekStart)
	}
	text, _ := io.ReadAll(io.LimitReader(file, most))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-10):]
	for i, line := range lines {
		lines[i] = printable.Of(strings.ReplaceAll(line, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}
