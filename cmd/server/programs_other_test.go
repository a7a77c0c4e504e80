//go:build !linux

package main

// programs: scripts run on Linux only.
func programs() map[string]func() { return nil }
