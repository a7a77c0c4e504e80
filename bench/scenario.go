package main

import (
	"fmt"
	"io"
	"strings"
)

// scenario is a set of flags that belong together, under a name.
type scenario struct {
	name  string
	what  string // the load, and what is special
	plain string // how --retire plain loses here, or why it does not
	flags string
	shows string // the count that must not be 0, see hardship.go
	loses bool   // it has to lose something, and is here so that the zeros of the others mean something
}

// How plain retirement loses, where it is the same for several.
const (
	losesQueue   = "what the accept queue holds is reset with the listener"
	losesIdle    = "Shutdown closes idle connections on which requests are on their way"
	losesNothing = "nothing that was seen: Shutdown waits for what has begun"
	losesRarely  = "what crosses the end of an idle connection, which is rare: none was seen in 3 upgrades"
	losesNobody  = "nothing that was seen: handlers are told of a plain retirement too"
	losesKilled  = "nothing more: who is killed is not told how to leave"
	losesGoAway  = "the only GOAWAY names a last stream, and those behind it are thrown away"
)

var scenarios = [...]scenario{
	{
		name: "tls-new", what: "TLS, a handshake in full for each request", plain: losesQueue,
		flags: "--tls --load new --pace 0",
	}, {
		name: "tls-keepalive", what: "TLS on kept connections, GETs and POSTs", plain: losesIdle,
		flags: "--tls --load keepalive,think,post --pace 0",
	}, {
		name: "tls-resume", what: "TLS sessions resumed on new connections, with ticket keys that all releases share", plain: losesQueue,
		flags: "--tls --load resume --pace 0",
	}, {
		name: "tls-resume-apart", what: "the same with keys that each release makes up: across releases nothing is resumed", plain: losesQueue,
		flags: "--tls --ticket-keys=false --load resume --pace 0",
	}, {
		name: "h2", what: "HTTP/2 over TLS, 100 streams in flight on each connection", plain: losesGoAway,
		flags: "--tls --load h2 --clients 4 --pace 0",
	}, {
		name: "h2c", what: "HTTP/2 in clear, the same", plain: losesGoAway,
		flags: "--h2c --load h2 --clients 4 --pace 0",
	}, {
		name: "h2-idle", what: "HTTP/2 over TLS, connections that are idle between streams", plain: losesRarely,
		flags: "--tls --load h2-think --clients 64 --pace 0",
	}, {
		name: "trickle", what: "request bodies that take 2s to arrive", plain: losesNothing,
		flags: "--load trickle --clients 64 --pace 0 --timeout 10s",
	}, {
		name: "download", what: "responses of 50 MB to fast and slow readers", plain: losesNothing,
		flags: "--load download,download-slow --clients 4 --pace 0 --timeout 30s --linger-timeout 2s",
	}, {
		name: "ws", what: "1 000 WebSockets that echo, each told 1001 when its server leaves",
		plain: losesNobody,
		flags: "--load ws --clients 1000 --timeout 10s",
	}, {
		name: "sse", what: "event streams that end with a last event, whole",
		plain: losesNobody,
		flags: "--load sse --clients 200 --timeout 10s",
	}, {
		name: "idle", what: "kept connections that are mostly idle: --clients N shows what retiring N of them costs", plain: losesRarely,
		flags: "--load idle --clients 1000 --linger-timeout 10s --timeout 10s",
	}, {
		name: "idle10k", what: "10 000 of them", plain: losesRarely,
		flags: "--load idle --clients 10000 --linger-timeout 10s --timeout 10s",
	}, {
		name: "nginx", what: "nginx in front, with a keep-alive pool and no second tries", plain: losesIdle,
		flags: "--front nginx --pace 0",
	}, {
		name: "nginx-default", what: "nginx in front, second tries as they come",
		plain: "POSTs, which nginx does not send again; it hides the loss of a GET",
		flags: "--front nginx-default --pace 0",
	}, {
		name: "haproxy", what: "HAProxy in front, http-reuse always, no second tries", plain: losesIdle,
		flags: "--front haproxy --pace 0",
	}, {
		name: "haproxy-default", what: "HAProxy in front, second tries as they come", plain: losesIdle,
		flags: "--front haproxy-default --pace 0",
	}, {
		name: "http10", what: "HTTP/1.0, with and without keep-alive", plain: losesIdle,
		flags: "--load http10,http10-keepalive --pace 0",
	}, {
		name: "expect", what: "POSTs that ask first, Expect: 100-continue", plain: losesIdle,
		flags: "--load expect --pace 0",
	}, {
		name: "pipelined", what: "pairs of requests, sent before the first answer", plain: losesIdle,
		flags: "--load pipelined --pace 0",
	}, {
		name: "wire", what: "400 clients over a network of 80ms that loses 1%, as root", plain: losesQueue,
		flags: "--wire 80ms,1% --load new,keepalive --clients 200",
	}, {
		name: "wire-far", what: "400 clients over a network of 300ms that loses 5%", plain: losesQueue,
		flags: "--wire 300ms,5% --load new,keepalive --clients 200",
	}, {
		name: "wire-tls", what: "400 clients that speak TLS over such a network, 80ms and 1%", plain: losesQueue,
		flags: "--wire 80ms,1% --tls --load new,keepalive --clients 200",
	}, {
		name: "wire-h2", what: "400 clients that speak HTTP/2 over it, one stream at a time", plain: losesGoAway,
		flags: "--wire 80ms,1% --tls --load h2-think --clients 400",
	}, {
		name: "queue-full", what: "new connections for accept queues of 16, which overflow all the time", plain: losesQueue,
		flags: "--wire 1ms --sysctl net.core.somaxconn=16 --load new --clients 400", shows: overflows,
	}, {
		name: "half-open", what: "new connections over a long way, hundreds of which are half open at any time", plain: losesQueue,
		flags: "--wire 400ms,2% --load new --clients 400", shows: halfOpen,
	}, {
		name: "pile-up", what: "slow downloads and uploads: of ten upgrades, many drain at once", plain: losesQueue,
		flags: "--overlap-next --upgrades 10 --rest 900ms --load new,trickle,download-slow --pace 0 --clients 24 --timeout 30s --linger-timeout 2s", shows: draining,
	}, {
		name: "upgrade-in-drain", what: "slow downloads: the second upgrade begins while the first one drains", plain: losesQueue,
		flags: "--overlap-next --upgrades 2 --rest 400ms --load new,keepalive,download-slow --pace 0 --clients 8 --timeout 30s --linger-timeout 2s", shows: draining,
	}, {
		name: "kill", what: "the usual load, and nobody is asked to leave", plain: losesKilled, loses: true,
		flags: "--signal KILL --wire 1ms --sysctl net.ipv4.tcp_migrate_req=0",
	}, {
		name: "kill-migrate", what: "the same, and the kernel moves what is in the queue", plain: losesKilled, loses: true,
		flags: "--signal KILL --wire 1ms --sysctl net.ipv4.tcp_migrate_req=1", shows: migrated,
	}, {
		name: "steering-off", what: "servers that cannot see what the kernel holds for them, and so only close", plain: losesQueue, loses: true,
		flags: "--blind --wire 20ms --load new,keepalive --clients 100",
	},
}

// pickScenarios returns the scenarios with these names, in the order of the names.
func pickScenarios(names string) (picked []scenario, err error) {
	for name := range strings.SplitSeq(names, ",") {
		s := scenarioNamed(strings.TrimSpace(name))
		if s == nil {
			return nil, fmt.Errorf("read --scenario: none is called %q, --list shows them all", name)
		}
		picked = append(picked, *s)
	}
	return picked, nil
}

func scenarioNamed(name string) *scenario {
	for i := range scenarios {
		if scenarios[i].name == name {
			return &scenarios[i]
		}
	}
	return nil
}

func printScenarios(w io.Writer) {
	for _, s := range scenarios {
		c, _, err := read(strings.Fields(s.flags), nil)
		if err != nil {
			panic(err) // the table is ours
		}
		fmt.Fprintf(w, "%s\n    load:        %s\n    upgrades:    %s\n    network:     %s\n    plain loses: %s\n", s.name, s.what, c.action(), c.network(), s.plain)
		if s.loses {
			fmt.Fprintf(w, "    this has to lose: it is here so that the zeros of the others mean something\n")
		}
		fmt.Fprintf(w, "    %s\n", s.flags)
	}
}
