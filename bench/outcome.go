package main

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// outcome is what became of one request.
type outcome uint8

const (
	answered outcome = iota

	// Two that are neither an answer nor a loss.

	declined  // the server said first that it would not answer here, as the protocol lets it
	withdrawn // the load's end broke it off: it would have gone on for ever

	// The losses.

	refused // nobody listened
	reset   // the connection or the stream was torn down
	eof     // the connection ended before the answer was whole
	goaway  // a stream above the last one of a GOAWAY
	timeout // no whole answer in time
	status  // an answer, but not 2xx
	body    // an answer, but not what was asked for
	other   // what does not fit: see the examples in the report
)

var outcomes = [...]string{
	answered:  "answered",
	declined:  "declined",
	withdrawn: "withdrawn",
	refused:   "refused",
	reset:     "reset",
	eof:       "eof",
	goaway:    "goaway",
	timeout:   "timeout",
	status:    "status",
	body:      "body",
	other:     "other",
}

func (o outcome) String() string { return outcomes[o] }

func (o outcome) lost() bool { return o >= refused }

// losses returns all outcomes that are one.
func losses() (all []outcome) {
	for o := range outcomes {
		if outcome(o).lost() {
			all = append(all, outcome(o))
		}
	}
	return all
}

// What a check finds wrong with an answer that arrived whole.
var (
	errStatus = errors.New("answer with status")
	errBody   = errors.New("answer with a wrong body")
)

// What becomes of a request without an answer, where the network has no word for it.
var (
	errDeclined  = errors.New("declined")
	errWithdrawn = errors.New("withdrawn")
	errStream    = errors.New("stream reset")
	errGoAway    = errors.New("stream above the last one of a GOAWAY")
)

// classify says what the error of an exchange, or of a check, means.
func classify(err error) outcome {
	var network net.Error
	switch {
	case err == nil:
		return answered
	case errors.Is(err, errDeclined):
		return declined
	case errors.Is(err, errWithdrawn):
		return withdrawn
	case errors.Is(err, errStatus):
		return status
	case errors.Is(err, errBody):
		return body
	case errors.Is(err, errGoAway):
		return goaway
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, errStream):
		return reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return eof
	case errors.As(err, &network) && network.Timeout():
		return timeout
	}
	return other
}
