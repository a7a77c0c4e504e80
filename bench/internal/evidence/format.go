package evidence

import (
	"time"

	"github.com/ba995850/overlap/bench/wire"
)

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

// Header says what the file is, and where and how it was made.
type Header struct {
	Version int       `json:"version"`
	Command []string  `json:"command"`
	Began   time.Time `json:"began"`
	Machine Machine   `json:"machine"`
}

// Machine is what ran it. What is not known is empty.
type Machine struct {
	Kernel string `json:"kernel,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	CPUs   int    `json:"cpus"`
	Memory int64  `json:"memory_bytes,omitempty"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Go     string `json:"go"`
	Commit string `json:"commit,omitempty"`
}

// end closes a run.
type end struct {
	Lines  int            `json:"lines"` // between "run" and "end"
	Sent   int            `json:"sent"`  // requests, counted apart from their lines
	Counts map[string]int `json:"counts"`
}
