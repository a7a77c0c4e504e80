package evidence

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// File is a raw file, read whole.
type File struct {
	Header
	Runs []Run
}

// ReadFile reads a raw file, packed or as plain text. What is not as it was written is an
// error that names the line: half a run has no report.
func ReadFile(name string) (File, error) {
	file, err := os.Open(name)
	if err != nil {
		return File{}, fmt.Errorf("read raw results: %w", err)
	}
	defer file.Close()
	in, err := unpack(bufio.NewReader(file))
	if err != nil {
		return File{}, fmt.Errorf("read raw results: %s: %w", name, err)
	}
	r := reader{in: in}
	if err := r.read(); err != nil {
		return File{}, fmt.Errorf("read raw results: %s: line %d: %w", name, r.no, err)
	}
	return r.file, nil
}

// unpack returns the text of what may be gzip, which begins with two bytes that no text
// begins with (RFC 1952 2.3.1).
func unpack(in *bufio.Reader) (*bufio.Reader, error) {
	if magic, _ := in.Peek(2); string(magic) != "\x1f\x8b" {
		return in, nil // what it is instead will be said of its first line
	}
	zip, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	return bufio.NewReader(zip), nil
}

// reader reads lines, and knows what may come next.
type reader struct {
	in    *bufio.Reader
	no    int // of the line
	file  File
	run   *Run // the one that has begun
	lines int  // of it
}

func (r *reader) read() error {
	for {
		r.no++
		text, err := r.in.ReadBytes('\n')
		switch {
		case err == io.EOF && len(text) == 0:
			return r.finish()
		case errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF:
			return errors.New("the file is cut off here")
		case err != nil:
			return err
		}
		if err := r.take(text); err != nil {
			return err
		}
	}
}

func (r *reader) finish() error {
	switch {
	case r.run != nil:
		return errors.New("the file ends within a run")
	case len(r.file.Runs) == 0:
		return errors.New("the file ends without a run")
	}
	return nil
}

func (r *reader) take(text []byte) error {
	var l line
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields() // a field that is not known would be evidence that is lost
	if err := strict.Decode(&l); err != nil {
		return fmt.Errorf("%w in %.60q", err, bytes.TrimSpace(text))
	}
	switch {
	case r.no == 1:
		return r.begin(l)
	case l.Run != nil && r.run == nil:
		r.run, r.lines = &Run{About: *l.Run}, 0
		return nil
	case l.End != nil && r.run != nil:
		return r.end(*l.End)
	case r.run != nil && r.run.add(l):
		r.lines++
		return nil
	}
	return fmt.Errorf("this line has no place here: %.60q", bytes.TrimSpace(text))
}

func (r *reader) begin(l line) error {
	switch {
	case l.Header == nil:
		return errors.New("it should be the header of a file that --raw has written")
	case l.Header.Version != Version:
		return fmt.Errorf("its format has version %d, this reads version %d", l.Header.Version, Version)
	}
	r.file.Header = *l.Header
	return nil
}

func (r *reader) end(e end) error {
	if e.Lines != r.lines {
		return fmt.Errorf("the run has %d lines, and should have %d", r.lines, e.Lines)
	}
	r.run.Sent, r.run.Counts = e.Sent, e.Counts
	r.file.Runs = append(r.file.Runs, *r.run)
	r.run = nil
	return nil
}

// add takes in a line of the run, and says whether it is one.
func (r *Run) add(l line) bool {
	switch {
	case l.Request != nil:
		r.Records = append(r.Records, *l.Request)
	case l.Probe != nil:
		r.Probes = append(r.Probes, *l.Probe)
	case l.Handover != nil:
		r.Handovers = append(r.Handovers, *l.Handover)
	case l.Departure != nil:
		r.Departures = append(r.Departures, *l.Departure)
	case l.Complaint != nil:
		r.Complaints = append(r.Complaints, *l.Complaint)
	case l.Wire != nil:
		r.Wire = l.Wire
	default:
		return false
	}
	return true
}
