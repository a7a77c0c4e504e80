//go:build !linux

package main

import "errors"

func listenAndServeBare(string) error { return errors.New("the bare kernel is Linux") }
