package peer

import (
	"context"
	"os/exec"
	"path/filepath"
	"text/template"

	"github.com/ba995850/overlap/bench/internal/group"
)

// nginx answers by itself. It does not write an access log, because nobody here has one, and a
// client that asks fast is not sent away after 1 000 requests.
var nginxConfig = template.Must(template.New("").Parse(`
{{if .Root}}user root;{{end}}
worker_processes {{.CPUs}};
pid nginx.pid;
error_log log warn;
events { worker_connections 4096; }
http {
	access_log off;
	keepalive_requests 1000000;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	default_type "text/plain; charset=utf-8";
	server {
		listen {{.Addr}}{{.Extra}};
		add_header Release {{.Release}};
		location / { return 200 "hello from {{.Release}}\n"; }
	}
}
`))

// reloaded is nginx whose master process loads its configuration again: it starts new workers,
// and tells the old ones to leave.
type reloaded struct {
	*Site
	listen string // what "listen" says more
	master *group.Program
}

func nginxReloaded(listen string) func(*Site) Service {
	return func(s *Site) Service { return &reloaded{Site: s, listen: listen} }
}

func (r *reloaded) Replace(_ context.Context, release string, leave func()) (err error) {
	file, err := r.configure("nginx.conf", nginxConfig, release, r.listen)
	if err != nil {
		return err
	}
	if r.master != nil {
		leave()
		return tell(r.master, hangUp)
	}
	r.master, err = r.run(exec.Command("nginx", "-p", r.Dir, "-e", "log", "-c", file, "-g", "daemon off;"))
	return err
}

func (r *reloaded) Stop() { stop(r.master) }

// exchanged is nginx whose binary is exchanged: the master starts its successor, and both
// serve until the old one is told to leave. It refuses to do so in the foreground, where it takes
// whoever started it for the master before. So it is a daemon, and the leader of a group.
type exchanged struct {
	*Site
	leader int // the first master; 0: none was started
	master int
}

func nginxExchanged(s *Site) Service { return &exchanged{Site: s} }

func (x *exchanged) Replace(ctx context.Context, release string, leave func()) error {
	file, err := x.configure("nginx.conf", nginxConfig, release, "")
	if err != nil {
		return err
	}
	pid := filepath.Join(x.Dir, "nginx.pid")
	if x.leader != 0 {
		// A master refuses as long as the one before it is there.
		if err := awaitGone(ctx, pid+".oldbin"); err != nil {
			return err
		}
		x.master, err = succeed(ctx, x.master, pid, quit, leave)
		return err
	}
	ctx = context.WithoutCancel(ctx)       // whoever breaks off now would not know whom to stop
	program, err := exec.LookPath("nginx") // it starts its successor by the name that it was started by
	if err != nil {
		return err
	}
	if err := x.obey(ctx, program, "-p", x.Dir, "-e", "log", "-c", file); err != nil {
		return err
	}
	x.leader, err = awaitPid(ctx, pid, 0)
	x.master = x.leader
	return err
}

func (x *exchanged) Stop() {
	if x.leader != 0 {
		group.Stop(x.leader, stopBound)
	}
}
