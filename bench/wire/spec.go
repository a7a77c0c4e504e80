// Package wire is a network of two machines on one: two network namespaces, and between
// them a wire on which packets take their time, get lost and overtake each other.
//
// The ends are TUN devices, and each packet passes through this process. What happens to
// the n-th packet of a direction follows from the seed; which packet that is, the kernel
// decides. Nothing here has a name, so nothing is left when the process ends, however it
// ends.
package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Spec is the physics of a wire, for all packets of both directions alike: a SYN is lost
// as easily as anything else.
type Spec struct {
	// RoundTrip is the time from one end to the other and back.
	RoundTrip time.Duration
	// Loss is the part of the packets that vanish, in each direction.
	Loss float64
	// Jitter is how much longer a packet may take. Those behind it wait, as in a
	// router's queue.
	Jitter time.Duration
	// Reorder is the part of the packets that are held back for an eighth of the round
	// trip, while others overtake them.
	Reorder float64
}

// longest bounds what can be meant: a round trip over a satellite takes 600ms.
const longest = time.Minute

// Parse reads a spec such as 80ms,1% or 80ms,1%,jitter=5ms,reorder=1%: the round trip,
// and what else there is.
func Parse(text string) (Spec, error) {
	var s Spec
	first, rest, more := strings.Cut(text, ",")
	if err := parseTime(&s.RoundTrip, first); err != nil {
		return Spec{}, fmt.Errorf("read the round trip: %w", err)
	}
	seen := map[string]bool{}
	for more {
		var field string
		field, rest, more = strings.Cut(rest, ",")
		key, value, named := strings.Cut(field, "=")
		if !named {
			key, value = "loss", field
		}
		if seen[key] {
			return Spec{}, fmt.Errorf("read %s: it is there twice", key)
		}
		seen[key] = true
		if err := s.set(key, value); err != nil {
			return Spec{}, fmt.Errorf("read %s: %w", key, err)
		}
	}
	if s.Reorder > 0 && s.RoundTrip == 0 {
		return Spec{}, errors.New("read reorder: without a round trip there is nothing to overtake")
	}
	return s, nil
}

func (s *Spec) set(key, value string) error {
	switch key {
	case "loss":
		return parseShare(&s.Loss, value)
	case "jitter":
		return parseTime(&s.Jitter, value)
	case "reorder":
		return parseShare(&s.Reorder, value)
	}
	return errors.New("there is loss, jitter and reorder")
}

func parseTime(to *time.Duration, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	if d < 0 || d > longest {
		return fmt.Errorf("%v is not between 0s and %v", d, longest)
	}
	*to = d
	return nil
}

func parseShare(to *float64, text string) error {
	number, percent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent {
		return fmt.Errorf("%q is no percentage such as 1%%", text)
	}
	if !(share >= 0 && share < 100) { // nor is it NaN
		return fmt.Errorf("%s is not between 0%% and 100%%", text)
	}
	*to = share / 100
	return nil
}

// String returns the spec as Parse reads it.
func (s Spec) String() string {
	text := fmt.Sprintf("%v,%s", s.RoundTrip, percent(s.Loss))
	if s.Jitter > 0 {
		text += fmt.Sprintf(",jitter=%v", s.Jitter)
	}
	if s.Reorder > 0 {
		text += ",reorder=" + percent(s.Reorder)
	}
	return text
}

func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'g', 4, 64) + "%"
}
