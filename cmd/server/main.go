// Server is a small web service that gives way to its next release without
// losing a request, and the tool that its operator uses. `server --help` and
// `server serve --help` say how.
package main

import (
	"os"
	"path/filepath"
	"strings"
)

func main() {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	os.Exit(run(env{name: name, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}, os.Args[1:]))
}
