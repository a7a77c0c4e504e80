//go:build !unix

package main

import "os/exec"

func detach(*exec.Cmd) {}

func (s *sibling) terminate() error { return s.process.Kill() }
func (s *sibling) kill() error      { return s.process.Kill() }
