package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/ba995850/overlap/bench/internal/evidence"
	"github.com/ba995850/overlap/bench/internal/group"
)

// findVerdict returns the verdict in a server's log, or nil.
func findVerdict(log []byte) *evidence.Verdict {
	for line := range bytes.Lines(log) {
		var entry struct {
			Msg string `json:"msg"`
			evidence.Verdict
		}
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "verdict" {
			return &entry.Verdict
		}
	}
	return nil
}

// departureOf reads the departure of a release whose process has ended.
func departureOf(r *release) (evidence.Departure, error) {
	log, err := os.ReadFile(r.Log)
	if err != nil {
		return evidence.Departure{}, fmt.Errorf("read the log of %s: %w", r.name, err)
	}
	state := r.Cmd.ProcessState
	return evidence.Departure{
		Release: r.name,
		Verdict: findVerdict(log),
		Code:    state.ExitCode(),
		Exit:    evidence.Seconds((r.exit() - r.term).Seconds()),
		CPU:     evidence.Seconds((state.UserTime() + state.SystemTime() - r.cpu).Seconds()),
		Tail:    group.LastLines(log, 3),
	}, nil
}
