// Package overlap lets two releases of a service listen on one TCP port at the same
// time, so that a new one can start next to the old one and the old one can leave
// without losing a request.
//
// No file descriptor is passed, no process is anybody's parent, there is no proxy
// in front, no root, nothing on disk. It promises:
//
//   - An instance is in rotation only when it is ready: the first one from listen(2)
//     on, a later one when it pins its sockets.
//   - A retiring instance answers everything that reached it, whole. What crosses the
//     close of an idle connection and what is cut at the deadline, it counts and
//     reports: a [Verdict] is lossless only when every count is 0.
//   - A release that does not start leaves the running one untouched.
//   - An instance needs no parent, no root, no file and no other machine: any
//     supervisor will do.
//   - What cannot be promised on this kernel or in this sandbox is said at start, not
//     discovered at the upgrade: see [Tier] and Options.OnNotice.
//
// It needs Linux 6.2 or later (or stable 6.1) with /proc, and both releases running
// as the same user in the same network namespace, on exactly the same address. On
// older kernels it does its best and says so; on other systems it serves and stops
// politely.
//
// A program that called http.ListenAndServe becomes:
//
//	func main() {
//		if err := overlap.ListenAndServe(":8080", handler); err != nil {
//			log.Fatal(err)
//		}
//	}
//
// To upgrade it, start the new binary, wait until it is ready, and send SIGTERM to
// the old one. [Serve] is for programs with http.Servers and signals of their own,
// [Listen] for servers that take a net.Listener, such as gRPC's, and [Retiring] for
// handlers that live long.
//
// # How an instance leaves
//
// Each instance has one listening socket for each CPU, pinned to it by
// SO_INCOMING_CPU. A retirement goes through these phases:
//
//   - steer: unpin the sockets, so that new connections go to the other instances.
//     Where none of them takes over, go on serving and try again.
//   - settle: accept until the kernel holds nothing more for these sockets: no
//     connection in the queue, no handshake half done.
//   - close: leave the group.
//   - linger: move clients over. HTTP/1 is answered with "Connection: close", and what
//     stays idle is ended. An HTTP/2 client gets a GOAWAY that refuses nothing and a PING
//     behind it; a second after it has acknowledged that, what it had begun before is
//     here, and it opens no more streams.
//   - finish: http.Server.Shutdown, when there is nothing left for it to surprise.
//     HTTP/2 connections with streams that go on get their second GOAWAY now.
//   - flush: wait until the clients have acknowledged all that was sent.
//   - cut: at the deadline, close what is left, and count it.
//
// # TLS and HTTP/2
//
// A server whose TLSConfig has a certificate speaks TLS, and HTTP/2 over it unless that
// is switched off in one of net/http's ways. HTTP/2 in clear is what Protocols says, or a
// handler that hijacks such connections (golang.org/x/net/http2/h2c, gin's UseH2C). A
// TLS session of one release resumes with the next when both have the same keys: see
// tls.Config.SetSessionTicketKeys.
//
// # The endpoint
//
// Each instance opens an abstract unix socket, by which the same user and root, and nobody
// else, can ask what it does and tell it to retire: with "server status" and "server
// retire" of cmd/server, whatever program the instance is. See Options.NoEndpoint.
//
// # What it cannot do
//
// HTTP/1 has no way to end an idle connection without a race: a client may send a
// request at the moment we close. LingerTimeout makes that rare, and the verdict
// counts it as late. A connection that began as HTTP/1 and was upgraded to HTTP/2
// ("Upgrade: h2c") is like any other that a handler has hijacked: it is not told, but
// waited for until the deadline. An instance that is killed (kill -9) loses what it
// holds; the sysctl net.ipv4.tcp_migrate_req=1 saves what its accept queue holds.
package overlap
