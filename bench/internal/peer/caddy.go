package peer

import (
	"context"
	"os"
	"os/exec"
	"text/template"

	"github.com/ba995850/overlap/bench/internal/group"
)

// Caddy's own endpoint, by which it is told to reload, is a socket of its site.
var caddyfile = template.Must(template.New("").Parse(`{
	admin unix/{{.Dir}}/admin
	auto_https off
	grace_period 10s
}
http://{{.Addr}} {
	bind 127.0.0.1
	header Release {{.Release}}
	header Content-Type "text/plain; charset=utf-8"
	respond "hello from {{.Release}}
" 200
}
`))

// caddy loads its configuration again, and stays the same process.
type caddy struct {
	*Site
	server *group.Program
}

func caddyReloaded(s *Site) Service { return &caddy{Site: s} }

func (c *caddy) Replace(ctx context.Context, release string, leave func()) error {
	file, err := c.configure("Caddyfile", caddyfile, release, "")
	if err != nil {
		return err
	}
	if c.server != nil {
		leave()
		return c.obey(ctx, "caddy", "reload", "--config", file, "--address", "unix/"+c.Dir+"/admin")
	}
	cmd := exec.Command("caddy", "run", "--config", file)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+c.Dir, "XDG_CONFIG_HOME="+c.Dir)
	c.server, err = c.run(cmd)
	return err
}

func (c *caddy) Stop() { stop(c.server) }
