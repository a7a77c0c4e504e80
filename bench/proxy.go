package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// proxy is a kind of reverse proxy that can stand between clients and servers.
type proxy struct {
	name     string // of --front
	program  string
	args     []string // before the path of its configuration
	template string
	// complaint says whether a line of its log is about a server.
	complaint func(line string) bool
}

func proxyNames() string {
	var names []string
	for _, p := range proxies {
		names = append(names, p.name)
	}
	return strings.Join(names, ",")
}

func proxyNamed(name string) *proxy {
	for i := range proxies {
		if proxies[i].name == name {
			return &proxies[i]
		}
	}
	return nil
}

// front is a proxy that runs. It has to be stopped.
type front struct {
	*process
	proxy *proxy
	addr  string
}

// startFront starts the proxy before the servers at addr, with all its files in dir.
func startFront(ctx context.Context, p *proxy, dir, addr string, clock clock) (*front, error) {
	program, err := exec.LookPath(p.program)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w (apt-get install nginx-light haproxy)", p.program, err)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	f := &front{proxy: p}
	if f.addr, err = freeAddr(net.JoinHostPort(host, "0")); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "proxy.conf")
	if err := p.configure(config, place{f.addr, addr, dir, os.Geteuid() == 0}); err != nil {
		return nil, fmt.Errorf("configure %s: %w", p.name, err)
	}
	f.process, err = startProcess(p.name, program, filepath.Join(dir, "proxy.log"), append(p.args[:len(p.args):len(p.args)], config), clock, (*exec.Cmd).Start)
	if err != nil {
		return nil, err
	}
	if err := f.awaitListen(ctx); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// place is what a configuration has to name.
type place struct {
	Listen string // where the clients come
	Server string // where the servers are
	Dir    string // for its files
	Root   bool   // we are root, and so can it be
}

func (p *proxy) configure(file string, at place) error {
	t, err := template.New(p.name).Parse(p.template)
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	return t.Execute(out, at)
}

// awaitListen dials the proxy until that works.
func (f *front) awaitListen(ctx context.Context) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(10 * time.Second)
	for {
		if conn, err := net.Dial("tcp", f.addr); err == nil {
			return conn.Close()
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return errInterrupted
		case <-f.Exited:
			return fmt.Errorf("start %s: %v, it said\n%s", f.name, f.Cmd.ProcessState, f.LastWords())
		case <-deadline:
			return errors.New("wait for " + f.name + " to listen: it does not")
		}
	}
}

// complaints returns what the proxy has to say about the servers.
func (f *front) complaints() (found []string, err error) {
	log, err := os.ReadFile(f.Log)
	if err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", f.name, err)
	}
	for line := range strings.Lines(string(log)) {
		if f.proxy.complaint(line) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found, nil
}
