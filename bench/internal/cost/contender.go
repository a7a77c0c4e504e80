// Package cost measures what a request costs, in throughput and CPU, and what an idle
// connection does, in memory: with overlap, and without, beside others that answer the same
// bytes. All of them take turns, so that a machine that gets slower does so for each.
package cost

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"text/template"
)

// contender is a program that answers GET / with the same bytes as the others.
type contender struct {
	name    string
	base    bool   // what the others are compared with
	overlap bool   // what is compared with the bare kernel, too
	release string // by which it answers; empty: the first
	program string // that has to be installed; empty: we build it
	pkg     string // of Debian's that has it
	// command returns how it is started: addr is where it is to listen, dir for its files.
	command func(built Built, dir, addr string) (*exec.Cmd, error)
}

// Built are the programs that have to be built before.
type Built struct {
	Server string // cmd/server, the reference service
	Plain  string // bench/plain
}

var contenders = []contender{
	{name: "net/http", base: true, command: plain("net/http", "net/http")},
	{name: "net/http, overlap", overlap: true, command: plain("net/http", "overlap")},
	{name: "gin", command: plain("gin", "net/http")},
	{name: "gin, overlap", overlap: true, command: plain("gin", "overlap")},
	reference("v1"),
	{name: "nginx", program: "nginx", pkg: "nginx-light", command: func(_ Built, dir, addr string) (*exec.Cmd, error) {
		file, err := configure(dir, addr, nginxConfig)
		return exec.Command("nginx", "-e", "stderr", "-c", file), err
	}},
	{name: "HAProxy", program: "haproxy", pkg: "haproxy", command: func(_ Built, dir, addr string) (*exec.Cmd, error) {
		file, err := configure(dir, addr, haproxyConfig)
		return exec.Command("haproxy", "-db", "-f", file), err
	}},
	{name: bare, command: plain("", "kernel")},
}

// bare is the contender that is the limit: it asks the kernel for what every answer needs.
const bare = "the bare kernel"

// reference is a release of the reference service.
func reference(release string) contender {
	return contender{name: "the reference service", release: release, overlap: true, command: func(built Built, _, addr string) (*exec.Cmd, error) {
		return exec.Command(built.Server, "serve", "--addr", addr, "--release", release, "--access-log=false"), nil
	}}
}

func plain(with, on string) func(Built, string, string) (*exec.Cmd, error) {
	return func(built Built, _, addr string) (*exec.Cmd, error) {
		return exec.Command(built.Plain, "-addr", addr, "-with", with, "-on", on), nil
	}
}

// As they come, but for a worker for each CPU, no access log (nobody has one here), as many
// connections as are opened, and none that is closed after so many requests. (HAProxy would have
// two files for each connection, and not start where the limit is less.)
const (
	nginxConfig = `daemon off;
{{if .Root}}user root;{{end}}
worker_processes {{.CPUs}};
worker_rlimit_nofile 40000;
pid {{.Dir}}/nginx.pid;
error_log stderr error;
events { worker_connections 20000; }
http {
	access_log off;
	keepalive_requests 100000000;
	keepalive_timeout 1h;
	client_body_temp_path {{.Dir}}/nginx-body;
	proxy_temp_path {{.Dir}}/nginx-proxy;
	fastcgi_temp_path {{.Dir}}/nginx-fastcgi;
	uwsgi_temp_path {{.Dir}}/nginx-uwsgi;
	scgi_temp_path {{.Dir}}/nginx-scgi;
	default_type "text/plain; charset=utf-8";
	server {
		listen {{.Addr}} backlog=4096;
		add_header Release v1;
		location / { return 200 "hello from v1\n"; }
	}
}
`
	haproxyConfig = `global
	maxconn 20000
	no strict-limits
	nbthread {{.CPUs}}
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 5s
	timeout http-keep-alive 1h
frontend clients
	bind {{.Addr}}
	http-request return status 200 content-type "text/plain; charset=utf-8" hdr Release v1 string "hello from v1\n"
`
)

// configure writes a configuration, and returns its file.
func configure(dir, addr, text string) (file string, err error) {
	file = filepath.Join(dir, "config")
	out, err := os.Create(file)
	if err != nil {
		return "", err
	}
	defer out.Close()
	return file, template.Must(template.New("").Parse(text)).Execute(out, map[string]any{
		"Dir": dir, "Addr": addr, "Root": os.Geteuid() == 0, "CPUs": strconv.Itoa(runtime.NumCPU()),
	})
}
