package main

import (
	"errors"

	"github.com/ba995850/overlap"
)

const (
	exitDrained = 0
	exitFailed  = 1
	exitUsage   = 2
	exitCut     = 3
	exitConfig  = 78 // EX_CONFIG of sysexits.h: a supervisor need not try again
)

// exits is the meaning of each code, for --help.
var exits = []struct {
	code  int
	means string
}{
	{exitDrained, "drained: nothing was cut; the verdict says whether anything was late"},
	{exitFailed, "could not start, or could not serve"},
	{exitUsage, "usage: a flag or a verb is unknown, or a flag has a bad value"},
	{exitCut, "something was cut, at the deadline or by USR2 or a second INT"},
	{exitConfig, "configuration: an unknown key, a bad value, or a certificate or ticket key that cannot be used"},
}

type (
	usageError  struct{ error }
	configError struct{ error }

	// toldError is an error that the log has told already.
	toldError struct{ error }
)

func (e usageError) Unwrap() error  { return e.error }
func (e configError) Unwrap() error { return e.error }
func (e toldError) Unwrap() error   { return e.error }

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDrained
	case is[usageError](err):
		return exitUsage
	case is[configError](err):
		return exitConfig
	case errors.Is(err, overlap.ErrCut):
		return exitCut
	default:
		return exitFailed
	}
}

// is reports whether err, or one that it wraps, is an E.
func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
