package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/report"
)

// rawFile is where --raw puts what was seen, of one run after the other: while a load
// runs nothing is written, because the disk and the packing would be in the latencies.
// Without --raw it is nil, and takes nothing.
type rawFile struct{ *evidence.Writer }

func createRaw(name string, args []string) (*rawFile, error) {
	if name == "" {
		return nil, nil
	}
	w, err := evidence.Create(name, evidence.Header{
		Command: append([]string{"go", "run", "./bench"}, args...), Began: time.Now(), Machine: thisMachine(),
	})
	return &rawFile{w}, err
}

func (f *rawFile) add(r evidence.Run) error {
	if f == nil {
		return nil
	}
	return f.Add(r)
}

func (f *rawFile) close() error {
	if f == nil {
		return nil
	}
	return f.Close()
}

func printJSON(w io.Writer, r report.Report) error {
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return fmt.Errorf("write the report as JSON: %w", err)
	}
	return nil
}
