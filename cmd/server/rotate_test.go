package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Broken on purpose, and seen red:
//   - next does not cut; it puts the new key last; --ahead is not looked at:
//     TestTheKeysMoveOnWithEachRotation
//   - what is not understood is taken for no key: TestARotationThrowsNothingAway
//   - a link to nowhere becomes a file: the same
//   - the file is written in place: TestARotationIsOneStep
//   - nobody locks: TestRotationsAtOnceLoseNoKey

// keysOf reads what a rotation has written, as the service does.
func keysOf(t *testing.T, path string) []ticketKey {
	t.Helper()
	keys, err := readTicketKeys(path)
	must(t, err)
	return keys
}

// rotated runs the verb.
func rotated(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(env{stdout: &out, stderr: &err, getenv: vars{}.get}, append([]string{"ticket-keys", "rotate"}, args...))
	return code, out.String(), err.String()
}

func TestTheKeysMoveOnWithEachRotation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		// which of the keys there were is at which place; new ones are -1
		places [][]int
	}{
		{[]string{"--keep", "3"}, [][]int{{-1}, {-1, 0}, {-1, 0, 1}, {-1, 0, 1}}},
		{[]string{"--keep", "1"}, [][]int{{-1}, {-1}}},
		{[]string{"--keep", "4", "--ahead"}, [][]int{{-1, -1}, {1, -1, 0}, {1, -1, 0, 2}, {1, -1, 0, 2}}},
	} {
		path := filepath.Join(t.TempDir(), "keys")
		var old []ticketKey
		for i, places := range test.places {
			if code, _, stderr := rotated(append(test.args, path)...); code != 0 {
				t.Fatalf("%v: exit code %d: %s", test.args, code, stderr)
			}
			keys := keysOf(t, path)
			got := make([]int, len(keys))
			for j, key := range keys {
				got[j] = slices.Index(old, key)
			}
			if !slices.Equal(got, places) {
				t.Errorf("%v, rotation %d: the keys come from %v, want %v", test.args, i, got, places)
			}
			old = keys
		}
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
	}
}

func TestARotationThrowsNothingAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	const other = "this is another file\n"
	overwrite(t, path, []byte(other))
	code, _, stderr := rotated(path)
	if code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	contains(t, stderr, path, "line 1")
	if text, _ := os.ReadFile(path); string(text) != other {
		t.Errorf("the file became %q", text)
	}
	// A link stays one, and nothing is left beside.
	must(t, os.Remove(path))
	overwrite(t, filepath.Join(dir, "real"), []byte(oneKey(1)))
	must(t, os.Symlink("real", path))
	if code, out, stderr := rotated(path); code != 0 || !strings.Contains(out, "1 new, 1 kept, 0 dropped") {
		t.Errorf("exit code %d, said %q %q", code, out, stderr)
	}
	if keys := keysOf(t, filepath.Join(dir, "real")); len(keys) != 2 {
		t.Errorf("%d keys are behind the link", len(keys))
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
	// Where it leads may be another machine's disk, that is not mounted.
	must(t, os.Remove(filepath.Join(dir, "real")))
	code, _, stderr = rotated(path)
	if code != exitFailed {
		t.Errorf("exit code %d for a link to nowhere, want %d", code, exitFailed)
	}
	contains(t, stderr, path, "symbolic link to nowhere")
}

// Who reads while it is rotated has the old keys or the new ones, whole.
func TestARotationIsOneStep(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	overwrite(t, path, []byte(oneKey(1)))
	reader, err := os.Open(path)
	must(t, err)
	defer reader.Close()
	if code, _, stderr := rotated(path); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != oneKey(1) {
		t.Errorf("who had begun to read got %q, %v", text, err)
	}
	if keys := keysOf(t, path); len(keys) != 2 {
		t.Errorf("%d keys are there now", len(keys))
	}
}

func TestRotationsAtOnceLoseNoKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	overwrite(t, path, []byte(oneKey(1)))
	const at = 20
	var made sync.WaitGroup
	results := make(chan string, at)
	for range at {
		made.Go(func() {
			code, _, stderr := rotated("--keep", "100", path)
			if code == 0 {
				stderr = ""
			}
			results <- stderr
		})
	}
	made.Wait()
	close(results)
	done := 0
	for refusal := range results {
		if refusal == "" {
			done++
			continue
		}
		contains(t, refusal, "another rotation is under way", "try again")
	}
	if keys := keysOf(t, path); len(keys) != 1+done || done == 0 {
		t.Errorf("%d rotations have left %d keys", done, len(keys))
	}
}

func TestARotationThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"a", "b"}, {"--keep", "0", "a"}, {"--keep", "2", "--ahead", "a"}} {
		if code, _, stderr := rotated(args...); code != exitUsage || !strings.Contains(stderr, "--help") {
			t.Errorf("%v: exit code %d, said %q", args, code, stderr)
		}
	}
}
