package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// asServer makes the test binary be the program, so that tests can have real
// processes without building one.
const asServer = "OVERLAP_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
	}
	testscript.Main(m, programs())
}

type vars map[string]string

func (v vars) get(name string) string { return v[name] }

// result is what a call of the program left behind.
type result struct {
	code           int
	stdout, stderr string
}

func call(environ vars, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(env{stdout: &stdout, stderr: &stderr, getenv: environ.get}, append([]string{}, args...))
	return result{code, stdout.String(), stderr.String()}
}
