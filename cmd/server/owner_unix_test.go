//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Broken on purpose, and seen red: the owner is whoever rotates.

// root rotates for the service's own user.
func TestARotationKeepsTheOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "keys")
	overwrite(t, path, []byte(oneKey(1)))
	const nobody = 65534
	must(t, os.Chown(path, nobody, nobody))
	if code, _, stderr := rotated(path); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	info, err := os.Stat(path)
	must(t, err)
	if is := info.Sys().(*syscall.Stat_t); is.Uid != nobody || is.Gid != nobody {
		t.Errorf("it belongs to %d:%d now", is.Uid, is.Gid)
	}
}
