package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// verdict is what a server says of its own retirement, in its last log lines.
type verdict struct {
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
	Phases         map[string]seconds `json:"phases"`
}

// steered is how long after SIGTERM new connections went to others.
func (v verdict) steered() seconds { return v.Phases["steer"] }

// closed is how long after SIGTERM the server was no member of the port any more.
func (v verdict) closed() seconds {
	return v.Phases["steer"] + v.Phases["settle"] + v.Phases["close"]
}

// confesses reports whether the server says that it lost something. One on a
// host that cannot tell says so by its tier, which is no confession.
func (v verdict) confesses() bool { return v.Tier == "lossless" && !v.Lossless }

// String returns the verdict in a line of the progress.
func (v verdict) String() string {
	word := "lossless"
	if !v.Lossless {
		word = "not lossless"
	}
	return fmt.Sprintf("%s  requests %d  late %d cut %d", word, v.Requests, v.Late, v.Cut)
}

// findVerdict returns the verdict in a server's log, or nil.
func findVerdict(log []byte) *verdict {
	for line := range bytes.Lines(log) {
		var entry struct {
			Msg string `json:"msg"`
			verdict
		}
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "verdict" {
			return &entry.verdict
		}
	}
	return nil
}

// departure is how a release left: in its own words, and as seen from outside.
type departure struct {
	Release string   `json:"release"`
	Verdict *verdict `json:"verdict"` // nil: it gave none
	Code    int      `json:"exit_code"`
	Exit    seconds  `json:"exit"`     // from SIGTERM to the exit
	CPU     seconds  `json:"cpu"`      // spent from SIGTERM to the exit, in steps of 10ms
	Tail    []string `json:"log_tail"` // the end of its log
}

// departureOf reads the departure of a release whose process has ended.
func departureOf(r *release) (departure, error) {
	log, err := os.ReadFile(r.log)
	if err != nil {
		return departure{}, fmt.Errorf("read the log of %s: %w", r.name, err)
	}
	return departure{
		Release: r.name,
		Verdict: findVerdict(log),
		Code:    r.cmd.ProcessState.ExitCode(),
		Exit:    seconds((r.exit - r.term).Seconds()),
		CPU:     seconds((r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime() - r.cpu).Seconds()),
		Tail:    tail(log, 3),
	}, nil
}

func tail(log []byte, n int) []string {
	lines := slices.Collect(bytes.Lines(log))
	var last []string
	for _, line := range lines[max(0, len(lines)-n):] {
		last = append(last, string(bytes.TrimSpace(line)))
	}
	return last
}

// String returns the departure in a line of the progress.
func (d departure) String() string {
	if d.Verdict == nil {
		return fmt.Sprintf("%s exit %v  no verdict", d.Release, d.Exit)
	}
	return fmt.Sprintf("%s steered %v  closed %v  exit %v  %v", d.Release, d.Verdict.steered(), d.Verdict.closed(), d.Exit, d.Verdict)
}
