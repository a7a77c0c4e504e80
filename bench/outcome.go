package main

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/ba995850/overlap/bench/internal/evidence"
)

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
func classify(err error) evidence.Outcome {
	var network net.Error
	switch {
	case err == nil:
		return evidence.Answered
	case errors.Is(err, errDeclined):
		return evidence.Declined
	case errors.Is(err, errWithdrawn):
		return evidence.Withdrawn
	case errors.Is(err, errStatus):
		return evidence.Status
	case errors.Is(err, errBody):
		return evidence.Body
	case errors.Is(err, errGoAway):
		return evidence.GoAway
	case errors.Is(err, syscall.ECONNREFUSED):
		return evidence.Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, errStream):
		return evidence.Reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return evidence.EOF
	case errors.As(err, &network) && network.Timeout():
		return evidence.Timeout
	}
	return evidence.Other
}
