//go:build !unix

package main

import (
	"errors"
	"os"
)

func halt(*os.Process) error { return errors.ErrUnsupported }
func wake(*os.Process) error { return errors.ErrUnsupported }
