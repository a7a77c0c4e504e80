package peer

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"

	"github.com/ba995850/overlap/bench/internal/group"
)

// wsgi is the application. A release is its file.
var wsgi = template.Must(template.New("").Parse(`def app(environ, start_response):
    body = b"hello from {{.Release}}\n"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"),
                              ("Content-Length", str(len(body))), ("Release", "{{.Release}}")])
    return [body]
`))

// gunicorn is a pre-fork server: an arbiter, and workers that share its socket.
type gunicorn struct {
	*Site
	exchange bool // a new arbiter for each release, else new workers
	first    *group.Program
	arbiter  int
}

func gunicornReloaded(s *Site) Service { return &gunicorn{Site: s} }

func gunicornExchanged(s *Site) Service { return &gunicorn{Site: s, exchange: true} }

func (g *gunicorn) Replace(ctx context.Context, release string, leave func()) (err error) {
	if _, err := g.configure("service.py", wsgi, release, ""); err != nil {
		return err
	}
	switch {
	case g.first == nil:
		return g.begin()
	case g.exchange:
		// The successor's pid is in a file of its own until the old one is gone, and until then it
		// refuses.
		next := filepath.Join(g.Dir, "pid.2")
		if err := awaitGone(ctx, next); err != nil {
			return err
		}
		g.arbiter, err = succeed(ctx, g.arbiter, next, terminate, leave)
		return err
	}
	leave()
	return tell(g.first, hangUp)
}

// begin starts the first arbiter. Threads, because the other workers do not keep connections.
// And compiled files are not kept: Python tells them apart by seconds and sizes, in
// which two releases here can be alike.
func (g *gunicorn) begin() (err error) {
	cmd := exec.Command("gunicorn", "--bind", g.Addr, "--chdir", g.Dir, "--pid", filepath.Join(g.Dir, "pid"),
		"--workers", "4", "--worker-class", "gthread", "--threads", "64", "--keep-alive", "75", "service:app")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if g.first, err = g.run(cmd); err == nil {
		g.arbiter = g.first.Cmd.Process.Pid
	}
	return err
}

func (g *gunicorn) Stop() { stop(g.first) }
