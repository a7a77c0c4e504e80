package peer

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"text/template"

	"github.com/ba995850/overlap/bench/internal/group"
)

// HAProxy answers by itself.
var haproxyConfig = template.Must(template.New("").Parse(`global
	maxconn 4096
	nbthread {{.CPUs}}
{{.Extra}}
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 5s
frontend clients
	bind {{.Addr}}
	http-request return status 200 content-type "text/plain; charset=utf-8" hdr Release {{.Release}} string "hello from {{.Release}}\n"
`))

// masterWorker is HAProxy under its own master process, which hands the listening sockets from
// one worker to the next.
type masterWorker struct {
	*Site
	master *group.Program
}

func haproxyMaster(s *Site) Service { return &masterWorker{Site: s} }

func (m *masterWorker) Replace(_ context.Context, release string, leave func()) error {
	socket := filepath.Join(m.Dir, "socket")
	file, err := m.configure("haproxy.cfg", haproxyConfig, release,
		"\tstats socket "+socket+" mode 600 level admin expose-fd listeners\n\thard-stop-after 30s")
	if err != nil {
		return err
	}
	if m.master != nil {
		leave()
		return tell(m.master, upgradeBinary)
	}
	m.master, err = m.run(exec.Command("haproxy", "-W", "-db", "-f", file))
	return err
}

func (m *masterWorker) Stop() { stop(m.master) }

// soft is HAProxy without a master: the next process tells the one before to finish. It takes
// over its sockets, or binds beside it.
type soft struct {
	*Site
	takes       bool
	now, before *group.Program
}

func haproxySoft(s *Site) Service { return &soft{Site: s} }

func haproxyTakes(s *Site) Service { return &soft{Site: s, takes: true} }

func (h *soft) Replace(ctx context.Context, release string, leave func()) error {
	extra, socket := "\thard-stop-after 30s", filepath.Join(h.Dir, "socket")
	if h.takes {
		extra += "\n\tstats socket " + socket + " mode 600 level admin expose-fd listeners"
	}
	file, err := h.configure("haproxy.cfg", haproxyConfig, release, extra)
	if err != nil {
		return err
	}
	args := []string{"-db", "-f", file}
	if h.now != nil && h.takes {
		args = append(args, "-x", socket)
	}
	if h.now != nil {
		args = append(args, "-sf", fmt.Sprint(h.now.Cmd.Process.Pid))
	}
	if h.before != nil {
		if err := await(ctx, h.before); err != nil { // told to finish an upgrade ago
			return err
		}
	}
	leave()
	next, err := h.run(exec.Command("haproxy", args...))
	if err != nil {
		return err
	}
	h.before, h.now = h.now, next
	return nil
}

func (h *soft) Stop() {
	stop(h.before)
	stop(h.now)
}
