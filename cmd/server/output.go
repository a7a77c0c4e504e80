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

// openOutput opens the file for the output of a program that outlives us, at its end. Where
// none is named, it is a new one.
func openOutput(name, program string, now time.Time) (*os.File, error) {
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
	return file, nil
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

// lastLines is the end of a file, as a terminal may see it.
func lastLines(name string) string {
	const most = 4 << 10
	file, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > most {
		_, _ = file.Seek(-most, io.SeekEnd)
	}
	text, _ := io.ReadAll(io.LimitReader(file, most))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-10):]
	for i, line := range lines {
		lines[i] = printable.Of(strings.ReplaceAll(line, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}
