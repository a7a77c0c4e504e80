package main

import (
	"os"
	"os/exec"
	"testing"
)

// tool finds a program, or skips the test and names its package. Where
// OVERLAP_NEED_TOOLS is set, as it is in CI, a tool that is missing is an error.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("OVERLAP_NEED_TOOLS") != "":
		t.Fatalf("%v: apt-get install %s", err, pkg)
	default:
		t.Skipf("%v: apt-get install %s", err, pkg)
	}
	return path
}
