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
	refused          // nobody listened
	reset            // the connection was torn down
	eof              // the connection ended before the answer was whole
	timeout          // no whole answer in time
	status           // an answer, but not 2xx
	body             // an answer, but not what was asked for
	other            // what does not fit: see the examples in the report
)

var outcomes = [...]string{
	answered: "answered",
	refused:  "refused",
	reset:    "reset",
	eof:      "eof",
	timeout:  "timeout",
	status:   "status",
	body:     "body",
	other:    "other",
}

func (o outcome) String() string { return outcomes[o] }

// What a check finds wrong with an answer that arrived whole.
var (
	errStatus = errors.New("answer with status")
	errBody   = errors.New("answer with a wrong body")
)

// classify says what the error of an exchange, or of a check, means.
func classify(err error) outcome {
	var network net.Error
	switch {
	case err == nil:
		return answered
	case errors.Is(err, errStatus):
		return status
	case errors.Is(err, errBody):
		return body
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return eof
	case errors.As(err, &network) && network.Timeout():
		return timeout
	}
	return other
}
