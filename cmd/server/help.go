package main

import (
	"fmt"
	"strings"
)

const rootHelp = `A small web service that gives way to its next release without losing a request.

Two releases listen on the same TCP port at the same time. The new one starts
next to the old one, the old one is told to leave with SIGTERM, and leaves when
it has answered everything that reached it. Neither needs to be the other's
parent, root, or on good terms with your supervisor.`

const takeover = `  # One shell: the running release.
  server serve --addr 127.0.0.1:8080 --release v1

  # Another: see who answers.
  while curl -fsS http://127.0.0.1:8080/; do sleep 0.1; done

  # A third: the next release, on the same port.
  server serve --addr 127.0.0.1:8080 --release v2

  # When it has said that it is serving, tell the first one to leave. Its pid is
  # in each of its log lines.
  kill -TERM PID`

const serveHelp = `Serve HTTP until a signal says to leave, then leave without losing a request.

It answers:
  GET  /              a greeting from this release
  GET  /slow?for=5s   the same, after that time
  POST /echo          what was sent
  GET  /livez         200 as long as the process lives
  GET  /readyz        200 while it is in rotation, 503 from the first signal on
and says in each answer which release it is, in the header "Release".

Retiring, it moves new connections to its successor, accepts what the kernel
still holds for it, tells keep-alive clients to come back, answers what is under
way, and ends with one log line: the verdict.`

const precedence = `Each flag can also be an environment variable or a key of the file that --config
names (YAML or TOML). The first that is set wins:
  1. the flag               --drain-timeout 1m
  2. the environment        OVERLAP_DRAIN_TIMEOUT=1m
  3. the file               drain-timeout: 1m
  4. for --addr only        PORT=8080
  5. the default            see below
A key that the file has and we do not know is an error.`

// chapters joins parts of a help text.
func chapters(parts ...string) string { return strings.Join(parts, "\n\n") }

func signalHelp() string {
	var b strings.Builder
	b.WriteString("Signals:")
	for _, s := range signalTable() {
		fmt.Fprintf(&b, "\n  %-5s %s", s.name, s.does)
	}
	return b.String() + "\n  QUIT  dump all goroutines and exit, as every Go program"
}

func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, e := range exits {
		fmt.Fprintf(&b, "\n  %-5d %s", e.code, e.means)
	}
	return b.String()
}
