package evidence

import (
	"fmt"
	"time"
)

// Seconds is a length of time as reports and logs carry it.
type Seconds float64

// String returns three digits or so, which is what a reader compares.
func (s Seconds) String() string {
	d := time.Duration(float64(s) * float64(time.Second))
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// Phases are those of a verdict, in their order.
var Phases = [...]string{"steer", "settle", "close", "linger", "finish", "flush", "cut"}

// Verdict is what a server says of its own retirement, in its last log lines.
type Verdict struct {
	Lossless       bool               `json:"lossless"`
	Retired        bool               `json:"retired"`
	Successor      bool               `json:"successor"`
	Tier           string             `json:"tier"`
	Reason         string             `json:"reason,omitempty"`
	Requests       int                `json:"requests"`
	Abandoned      int                `json:"abandoned"`
	Expired        int                `json:"expired"`
	Late           int                `json:"late"`
	Cut            int                `json:"cut"`
	Unacknowledged int                `json:"unacknowledged"`
	Phases         map[string]Seconds `json:"phases"`
}

// Steered is how long after SIGTERM new connections went to others.
func (v Verdict) Steered() Seconds { return v.Phases["steer"] }

// Closed is how long after SIGTERM the server was no member of the port any more.
func (v Verdict) Closed() Seconds {
	return v.Phases["steer"] + v.Phases["settle"] + v.Phases["close"]
}

// Confesses reports whether the server says that it lost something. One on a
// host that cannot tell says so by its tier, which is no confession.
func (v Verdict) Confesses() bool { return v.Tier == "lossless" && !v.Lossless }

// String returns the verdict in a line of the progress.
func (v Verdict) String() string {
	word := "lossless"
	if !v.Lossless {
		word = "not lossless"
	}
	return fmt.Sprintf("%s  requests %d  late %d cut %d", word, v.Requests, v.Late, v.Cut)
}

// Departure is how a release left: in its own words, and as seen from outside.
type Departure struct {
	Release string   `json:"release"`
	Verdict *Verdict `json:"verdict"` // nil: it gave none
	Code    int      `json:"exit_code"`
	Exit    Seconds  `json:"exit"`     // from SIGTERM to the exit
	CPU     Seconds  `json:"cpu"`      // spent from SIGTERM to the exit, in steps of 10ms
	Tail    []string `json:"log_tail"` // the end of its log
}

// String returns the departure in a line of the progress.
func (d Departure) String() string {
	if d.Verdict == nil {
		return fmt.Sprintf("%s exit %v  no verdict", d.Release, d.Exit)
	}
	return fmt.Sprintf("%s steered %v  closed %v  exit %v  %v", d.Release, d.Verdict.Steered(), d.Verdict.Closed(), d.Exit, d.Verdict)
}
