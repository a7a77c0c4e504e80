package evidence

import (
	"fmt"
	"slices"
)

// Outcome is what became of one request.
type Outcome uint8

const (
	Answered Outcome = iota

	// Two that are neither an answer nor a loss.

	Declined  // the server said first that it would not answer here, as the protocol lets it
	Withdrawn // the load's end broke it off: it would have gone on for ever

	// The losses.

	Refused // nobody listened
	Reset   // the connection or the stream was torn down
	EOF     // the connection ended before the answer was whole
	GoAway  // a stream above the last one of a GOAWAY
	Timeout // no whole answer in time
	Status  // an answer, but not 2xx
	Body    // an answer, but not what was asked for
	Other   // what does not fit: see the examples in the report
)

var outcomes = [...]string{
	Answered:  "answered",
	Declined:  "declined",
	Withdrawn: "withdrawn",
	Refused:   "refused",
	Reset:     "reset",
	EOF:       "eof",
	GoAway:    "goaway",
	Timeout:   "timeout",
	Status:    "status",
	Body:      "body",
	Other:     "other",
}

func (o Outcome) String() string { return outcomes[o] }

// Lost reports whether the outcome is a loss.
func (o Outcome) Lost() bool { return o >= Refused }

// Losses returns all outcomes that are one.
func Losses() (all []Outcome) {
	for o := range outcomes {
		if Outcome(o).Lost() {
			all = append(all, Outcome(o))
		}
	}
	return all
}

// MarshalText returns the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the outcome's name.
func (o *Outcome) UnmarshalText(name []byte) error {
	i := slices.Index(outcomes[:], string(name))
	if i < 0 {
		return fmt.Errorf("read an outcome: none is called %q", name)
	}
	*o = Outcome(i)
	return nil
}
