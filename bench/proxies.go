package main

import "strings"

// Why an idle pool is no race here, although the servers are told to let connections
// idle for a shorter time (--linger-timeout) than the proxies keep them: a retiring
// server says `Connection: close` with each answer, so what is in use moves over with
// its next request; both proxies take the connection that was used last, so what is
// idle for as long as the linger timeout lies at the bottom of the pool; and they
// watch idle connections, and drop one when it ends. A request is lost only if the
// proxy reaches for the bottom of its pool just when the server lets go of it.

// nginx needs to be told not to close after each request (before 1.29.7), which is
// what everybody with a keep-alive pool writes.
const nginxTemplate = `daemon off;
{{if .Root}}user root;{{end}}
worker_processes auto;
pid {{.Dir}}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path {{.Dir}}/nginx-body;
	proxy_temp_path {{.Dir}}/nginx-proxy;
	fastcgi_temp_path {{.Dir}}/nginx-fastcgi;
	uwsgi_temp_path {{.Dir}}/nginx-uwsgi;
	scgi_temp_path {{.Dir}}/nginx-scgi;
	upstream servers {
		server {{.Server}};
		keepalive 64;
	}
	server {
		listen {{.Listen}};
		location / {
			proxy_pass http://servers;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
`

const nginxEnd = `		}
	}
}
`

// HAProxy logs what went wrong, and what it tried again, and nothing else.
const haproxyTemplate = `global
	maxconn 4096
	log stdout format raw daemon
defaults
	mode http
	log global
	option httplog
	option dontlog-normal
	option dontlognull
	timeout connect 5s
	timeout client 30s
	timeout server 30s
frontend clients
	bind {{.Listen}}
	default_backend servers
backend servers
	http-reuse always
	server one {{.Server}}
`

var proxies = [...]proxy{
	{
		name: "nginx", program: "nginx", args: []string{"-e", "stderr", "-c"}, complaint: nginxComplains,
		template: nginxTemplate + "\t\t\tproxy_next_upstream off;\n" + nginxEnd,
	}, {
		name: "nginx-default", program: "nginx", args: []string{"-e", "stderr", "-c"}, complaint: nginxComplains,
		template: nginxTemplate + nginxEnd,
	}, {
		name: "haproxy", program: "haproxy", args: []string{"-db", "-f"}, complaint: haproxyComplains,
		template: haproxyTemplate + "\tretries 0\n\tno option redispatch\n",
	}, {
		name: "haproxy-default", program: "haproxy", args: []string{"-db", "-f"}, complaint: haproxyComplains,
		template: haproxyTemplate,
	},
}

func nginxComplains(line string) bool { return strings.Contains(line, "upstream") }

// haproxyComplains leaves out what the clients did: a termination state that begins
// with C. All else that is logged of the backend was not as it should be.
func haproxyComplains(line string) bool {
	_, after, about := strings.Cut(line, " servers/one ")
	fields := strings.Fields(after) // timers, status, bytes, cookies, cookies, state
	return about && !(len(fields) > 5 && strings.HasPrefix(fields[5], "C"))
}
