package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

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

// Shell is how the file was made, as a shell takes it.
func (h Header) Shell() string {
	words := slices.Clone(h.Command)
	for i, w := range words {
		if strings.ContainsAny(w, " \t\"'$&|;<>()*?[]") || w == "" {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// Origin says when and where it was made, as far as it is known, in a line.
func (h Header) Origin() string {
	m := h.Machine
	parts := []string{h.Began.UTC().Format("2 January 2006")}
	if m.Commit != "" {
		parts = append(parts, "commit "+m.Commit)
	}
	if m.Kernel != "" {
		parts = append(parts, "Linux "+m.Kernel)
	}
	cpu := fmt.Sprintf("%d CPUs", m.CPUs)
	if m.CPU != "" {
		cpu += " " + m.CPU
	}
	return strings.Join(append(parts, cpu, m.Go), " · ")
}
