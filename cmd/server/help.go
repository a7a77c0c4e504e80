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

  # When it serves, tell the first one to leave, and see what that has cost.
  server status
  server retire v1`

const underTLS = `  # TLS, a clear port for the local health check, and sessions that outlive upgrades.
  server ticket-keys rotate ticket-keys
  server serve --addr :8443 --addr http://127.0.0.1:8080 \
    --tls-cert cert.pem --tls-key key.pem --tls-ticket-keys ticket-keys`

const serveHelp = `Serve HTTP until a signal says to leave, then leave without losing a request.

It answers:
  GET  /              a greeting from this release
  GET  /slow?for=5s   the same, after that time
  POST /echo          what was sent, while it arrives
  GET  /bytes?n=1000  that many bytes, of which the one at offset i is i modulo 251;
                      with &chunked=1 without saying beforehand how many
  GET  /events        an event each second (?every=100ms), numbered on from Last-Event-ID
  GET  /ws            a WebSocket that echoes; other origins than our host are refused
  GET  /livez         200 as long as the process lives
  GET  /readyz        200 while it is in rotation, 503 from the first signal on
and says in each answer which release it is, in the header "Release".

Retiring, it moves new connections to its successor, accepts what the kernel
still holds for it, tells keep-alive clients to come back, answers what is under
way, and ends with one log line: the verdict.`

const addrHelp = `Addresses: --addr can be repeated, and be a list in the file; OVERLAP_ADDR takes
several with commas between. The instance joins on all of them, or on none, and
leaves all of them together.
  host:port           TLS if there is --tls-cert, else in clear
  https://host:port   TLS
  http://host:port    in clear, also where there is --tls-cert
In clear it speaks HTTP/1, and with --h2c also HTTP/2 to clients that begin with it.
Under TLS it speaks both, as the client chooses.`

const tlsHelp = `TLS: 1.2 and later, with the certificate chain in --tls-cert and its key in
--tls-key. Both are read again when they change: rewritten, replaced, or behind
symbolic links that change, as Kubernetes and certbot do it. No restart, no signal.
Where the new pair is broken the log says so, and the old one stays in use.

Session tickets: a client that comes again resumes its session by a ticket, which
each process encrypts with keys of its own. After an upgrade nobody could resume, and
all clients would make full handshakes at once. With --tls-ticket-keys all releases
have the same keys. "server ticket-keys rotate" makes the file and changes it; it is
read again as the certificate is. Mode 0600, or it is refused.`

const longHelp = `Clients that stay for long: an event stream ends with the event "retiring" and a
hint when to come back, a WebSocket with close code 1001. Each is told at a moment of
its own within --spread. The reason of the close says how many messages were taken,
each of which was echoed: one without an echo is safe to send again. None of them can
keep us: one that takes nothing of what is sent is dropped after 5 s, one that does
not answer a close after 2 s, and at --drain-timeout whoever is left.`

const adminHelp = `Metrics: --admin-addr is an address that the instances of one service share, as they
share --addr, and nobody else. Whichever of them the kernel picks answers for all: it asks
its siblings, those that share a port with it, at their endpoints. So scrape it as one
target:
  GET  /metrics       what all have counted, by release and instance (honor_labels: true)
  GET  /livez         200 as long as somebody answers
A sibling that does not answer holds a scrape up for half a second, or 1 s, and is shown by
overlap_sibling_up 0. An instance hands what it has counted, and its verdict, to those
who stay; they show it for ten minutes. After --drain-timeout, at most 3 s more go by
until scrapes that are under way are answered. It is in clear, and has no password: give
it an address inside. "server metrics" shows the same without it, and how to get profiles.`

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
