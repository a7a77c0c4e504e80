package evidence

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Writer writes a raw file, run by run.
type Writer struct {
	file  *os.File
	zip   *gzip.Writer
	buf   *bufio.Writer
	json  *json.Encoder
	lines int
	runs  int
	err   error // the first
}

// Create makes the file. It has to be closed. One that is there already is somebody's
// results, and stays.
func Create(name string, h Header) (*Writer, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("write raw results: %s is there already (remove it, or name another file)", name)
	}
	if err != nil {
		return nil, fmt.Errorf("write raw results: %w", err)
	}
	w := &Writer{file: file, zip: gzip.NewWriter(file)}
	w.buf = bufio.NewWriterSize(w.zip, 64<<10)
	w.json = json.NewEncoder(w.buf)
	w.json.SetEscapeHTML(false)
	h.Version = Version
	w.write(line{Header: &h})
	return w, nil
}

// Add writes a run.
func (w *Writer) Add(r Run) error {
	w.write(line{Run: &r.About})
	begun := w.lines
	for i := range r.Records {
		w.write(line{Request: &r.Records[i]})
	}
	for i := range r.Probes {
		w.write(line{Probe: &r.Probes[i]})
	}
	for i := range r.Handovers {
		w.write(line{Handover: &r.Handovers[i]})
	}
	for i := range r.Departures {
		w.write(line{Departure: &r.Departures[i]})
	}
	for i := range r.Complaints {
		w.write(line{Complaint: &r.Complaints[i]})
	}
	if r.Wire != nil {
		w.write(line{Wire: r.Wire})
	}
	w.write(line{End: &end{Lines: w.lines - begun, Sent: r.Sent, Counts: r.Counts}})
	if w.err == nil {
		w.runs++
	}
	return w.err
}

// write writes a line. Behind an error there is none.
func (w *Writer) write(l line) {
	w.lines++
	if w.err != nil {
		return
	}
	if err := w.json.Encode(l); err != nil {
		w.err = w.failed(err)
	}
}

func (w *Writer) failed(err error) error {
	return fmt.Errorf("write raw results to %s: %w", w.file.Name(), err)
}

// Close ends the file. One without a run is removed: it says nothing, and would be in
// the way of the next try.
func (w *Writer) Close() error {
	err := errors.Join(w.buf.Flush(), w.zip.Close(), w.file.Close())
	if w.runs == 0 {
		return os.Remove(w.file.Name())
	}
	if err != nil {
		return w.failed(err)
	}
	return nil
}
