package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ba995850/overlap/internal/control"
)

// What it says later, its verdict at last, is in its log, too; and it must not die of a pipe
// that nobody reads any more. Broken on purpose, and seen red: it writes through a pipe of ours.
func TestAReleaseOutlivesTheCommandThatHasStartedIt(t *testing.T) {
	t.Parallel()
	v1 := foundDynasty(t, self())
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.Command(os.Args[0], "upgrade", "--log", log, "--", os.Args[0], "serve", "--release", "v2")
	cmd.Env = v1.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	v2, err := findOne(t.Context(), func(f control.Found) bool { return f.Addr == v1.addr })
	must(t, err)
	must(t, syscall.Kill(v2.PID, syscall.SIGTERM))
	eventually(t, func() bool {
		text, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(text), `"msg":"verdict","release":"v2"`)
	})
}
