// Server is a small web service that gives way to its next release without
// losing a request, and the tool that its operator uses. `server --help` and
// `server serve --help` say how.
package main

import "os"

func main() {
	os.Exit(run(env{stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}, os.Args[1:]))
}
