package evidence

import "time"

// Record is one request and what became of it.
type Record struct {
	Kind    string        `json:"kind"`
	Due     time.Duration `json:"due_ns"`            // when it was meant to be sent
	Latency time.Duration `json:"latency_ns"`        // from then to the end of its answer
	Release string        `json:"release,omitempty"` // who answered, by the header Release
	Conn    int64         `json:"conn,omitempty"`    // on which it went, as numbered in the run; 0: there was none
	Apart   bool          `json:"apart,omitempty"`   // not among the requests that a server counts
	Life    bool          `json:"life,omitempty"`    // its latency is how long something was open
	Outcome Outcome       `json:"outcome"`
	Detail  string        `json:"detail,omitempty"` // the error's text, when it was not answered
}

// InTime orders records by when they were due.
func InTime(a, b Record) int { return int(a.Due - b.Due) }
