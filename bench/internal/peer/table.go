package peer

import "github.com/ba995850/overlap/bench/internal/evidence"

// The pages of the manuals that say how to upgrade.
const (
	nginxControl   = "nginx.org/en/docs/control.html"
	haproxyManage  = "docs.haproxy.org/2.6/management.html#4"
	gunicornSignal = "docs.gunicorn.org/en/stable/signals.html"
)

var peers = [...]Peer{
	{
		Name: "restart", start: restarted,
		Subject: evidence.Subject{
			System: "restart", Method: "SIGTERM, Shutdown, exit; then the next one is started",
			Settings: "net/http", Source: "pkg.go.dev/net/http#Server.Shutdown",
		},
	}, {
		Name: "activation", start: activated,
		Subject: evidence.Subject{
			System: "socket activation", Method: "the same, and a manager holds the socket: connections wait in its queue",
			Settings: "net/http on descriptor 3", Source: "freedesktop.org/software/systemd/man/latest/systemd.socket.html",
		},
	}, {
		Name: "nginx", start: nginxReloaded(""), program: "nginx", pkg: "nginx-light", version: []string{"-v"},
		Subject: evidence.Subject{
			System: "nginx", Method: "HUP", Settings: "worker_processes of the CPUs", Source: nginxControl,
		},
	}, {
		Name: "nginx-reuseport", start: nginxReloaded(" reuseport"), program: "nginx", pkg: "nginx-light", version: []string{"-v"},
		Subject: evidence.Subject{
			System: "nginx", Method: "HUP, with reuseport", Settings: "listen … reuseport", Source: nginxControl,
		},
	}, {
		Name: "nginx-usr2", start: nginxExchanged, program: "nginx", pkg: "nginx-light", version: []string{"-v"},
		Subject: evidence.Subject{
			System: "nginx", Method: "USR2, a second later QUIT to the old master", Source: nginxControl + "#upgrade",
		},
	}, {
		Name: "haproxy", start: haproxyMaster, program: "haproxy", pkg: "haproxy", version: []string{"-v"},
		Subject: evidence.Subject{
			System: "HAProxy", Method: "master-worker, USR2", Settings: "-W; stats socket … expose-fd listeners; hard-stop-after 30s", Source: haproxyManage,
		},
	}, {
		Name: "haproxy-sf", start: haproxySoft, program: "haproxy", pkg: "haproxy", version: []string{"-v"},
		Subject: evidence.Subject{
			System: "HAProxy", Method: "the next process with -sf, which binds beside", Settings: "hard-stop-after 30s", Source: haproxyManage,
		},
	}, {
		Name: "haproxy-x", start: haproxyTakes, program: "haproxy", pkg: "haproxy", version: []string{"-v"},
		Subject: evidence.Subject{
			System: "HAProxy", Method: "the next process with -x and -sf, which takes the sockets", Settings: "stats socket … expose-fd listeners; hard-stop-after 30s", Source: haproxyManage,
		},
	}, {
		Name: "caddy", start: caddyReloaded, program: "caddy", pkg: "caddy", version: []string{"version"},
		Subject: evidence.Subject{
			System: "Caddy", Method: "caddy reload", Settings: "grace_period 10s", Source: "caddyserver.com/docs/command-line#caddy-reload",
		},
	}, {
		Name: "gunicorn", start: gunicornReloaded, program: "gunicorn", pkg: "gunicorn", version: []string{"--version"},
		Subject: evidence.Subject{
			System: "gunicorn", Method: "HUP", Settings: "--workers 4 --worker-class gthread --threads 64 --keep-alive 75", Source: gunicornSignal,
		},
	}, {
		Name: "gunicorn-usr2", start: gunicornExchanged, program: "gunicorn", pkg: "gunicorn", version: []string{"--version"},
		Subject: evidence.Subject{
			System: "gunicorn", Method: "USR2, a second later TERM to the old arbiter", Settings: "--workers 4 --worker-class gthread --threads 64 --keep-alive 75", Source: gunicornSignal,
		},
	}, {
		Name: "traefik", absent: "Debian has no package of it, and go install refuses its module, which replaces others",
		Subject: evidence.Subject{
			System: "Traefik", Method: "a second process with reusePort, SIGTERM to the first", Source: "doc.traefik.io/traefik/routing/entrypoints/#reuseport",
		},
	},
}
