package evidence

import "github.com/ba995850/overlap/bench/wire"

// Version is that of the format. What reads one version refuses all others.
const Version = 1

// A raw file is gzip around lines of JSON, each an object with one key that says what
// the line is. The first is a header; then each run begins with "run" and ends with
// "end", which counts the lines between. See README.md of the bench.
type line struct {
	Header    *Header       `json:"bench,omitempty"`
	Run       *About        `json:"run,omitempty"`
	Request   *Record       `json:"request,omitempty"`
	Probe     *Record       `json:"probe,omitempty"`
	Handover  *Handover     `json:"handover,omitempty"`
	Departure *Departure    `json:"departure,omitempty"`
	Complaint *string       `json:"complaint,omitempty"`
	Wire      *wire.Traffic `json:"wire,omitempty"`
	End       *end          `json:"end,omitempty"`
}

// end closes a run.
type end struct {
	Lines  int            `json:"lines"` // between "run" and "end"
	Sent   int            `json:"sent"`  // requests, counted apart from their lines
	Counts map[string]int `json:"counts"`
}
