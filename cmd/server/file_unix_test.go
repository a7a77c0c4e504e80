//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Broken on purpose, and seen red: any file is read.

// To read a pipe waits for somebody who writes to it, and nobody does.
func TestAPipeInThePlaceOfAFileHoldsNothingUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newKeyPair(t, 1).in(t, dir)
	keys := filepath.Join(dir, "ticket-keys")
	overwrite(t, keys, []byte(oneKey(1)))
	p, addr := startTLS(t, dir, "127.0.0.1:0", "--tls-ticket-keys", keys)
	p.await(t, "ticket keys", "")
	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	for source, file := range map[string]string{"ticket keys": keys, "certificate": filepath.Join(dir, keyName)} {
		must(t, os.Symlink(pipe, file+".new"))
		must(t, os.Rename(file+".new", file))
		line := p.await(t, source, "")
		contains(t, fmt.Sprint(line["error"]), file+" is not a regular file")
	}
	if got := shownSerial(t, addr); got != 1 {
		t.Errorf("serial %d is shown", got)
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
